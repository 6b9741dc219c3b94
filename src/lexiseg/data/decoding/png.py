"""PNG files of 16 bits per channel, all bits of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.decoding.container import load, quietly_opened
from lexiseg.data.decoding.stored_pixels import StoredPixels

_GREY, _RGB, _GREY_ALPHA, _RGBA = 0, 2, 4, 6
_COLOUR_TYPE_AT = 25
_DEPTH_AT = 24


def is_deep_png(content: bytes) -> bool:
    """Return whether a PNG file has 16 bits per channel."""
    return content[_DEPTH_AT : _DEPTH_AT + 1] == b"\x10"


def png_bits(content: bytes) -> int:
    """Return the bits per channel that a PNG file states: 1, 2, 4, 8 or 16."""
    return content[_DEPTH_AT]


def deep_png(image: Image.Image, content: bytes, path: Path) -> StoredPixels | None:
    """Return the pixels of a PNG with 16 bits per channel; None for another one.

    Raises:
        DataError: The file is damaged.
    """
    if not is_deep_png(content):
        return None
    kind = content[_COLOUR_TYPE_AT]
    if kind == _GREY:
        load(image, path)
        return StoredPixels(values=np.asarray(image))
    if kind == _GREY_ALPHA:
        both = _grey_with_alpha(content, path)
        return StoredPixels(values=both[..., 0], alpha=both[..., 1])
    mode = "RGBA" if kind == _RGBA else "RGB"
    # Pillow reads such files with 8 bits. It is made to unpack the high bytes once and the low bytes once:
    # the low byte of a big-endian number stands where the high byte of a little-endian one stands.
    high = _unpacked(content, f"{mode};16B", path)
    low = _unpacked(content, f"{mode};16L", path)
    values = high.astype(np.uint16) << 8 | low
    return StoredPixels(values=values[..., :3], alpha=values[..., 3] if kind == _RGBA else None)


def _unpacked(content: bytes, raw_mode: str, path: Path) -> npt.NDArray[np.uint8]:
    """Return the bytes that a raw mode of Pillow picks from each pixel."""
    image = quietly_opened(content, ("PNG",))
    image.tile = [(codec, box, offset, raw_mode) for codec, box, offset, *_ in image.tile]  # type: ignore[misc]
    load(image, path)
    return np.asarray(image)


def _grey_with_alpha(content: bytes, path: Path) -> npt.NDArray[np.uint16]:
    """Return (H, W, 2) grey and alpha, read as the four 8-bit channels that have the same bytes."""
    image = quietly_opened(content, ("PNG",))
    image.tile = [(codec, box, offset, "RGBA") for codec, box, offset, *_ in image.tile]  # type: ignore[misc]
    image._mode = "RGBA"
    load(image, path)
    return np.ascontiguousarray(np.asarray(image)).view(">u2").astype(np.uint16)
