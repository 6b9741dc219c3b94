"""TIFF files: which reader decodes which data type, photometric interpretation, channels and compression.

Pillow decodes what it reads exactly: up to 8 unsigned bits, and 16 unsigned bits of one channel. tifffile
decodes all other types of numbers. Where its compression needs a package that Lexiseg does not require,
Pillow decodes the types that it knows; the rest is refused.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from lexiseg.data.decoding.container import BROKEN, broken, pixel_limit, too_large
from lexiseg.data.decoding.orientation import load_as_stored
from lexiseg.data.decoding.stored_pixels import StoredPixels
from lexiseg.errors import DataError
from lexiseg.printable import counted

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
#: Photometric interpretations whose values are used as they are, with their number of channels.
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}
_UNSIGNED, _VOID = 1, 4
_PREMULTIPLIED_ALPHA, _ALPHA = 1, 2
_LOSSY_COMPRESSIONS = (6, 7, 33003, 33005, 34712, 34892, 50001, 52546)

#: Tags of which each holds one number.
_NUMBERS = (
    "imagewidth",
    "imagelength",
    "bitspersample",
    "samplesperpixel",
    "compression",
    "sampleformat",
    "planarconfig",
)

#: Data types that Pillow holds in its modes of more than 8 bits.
_PILLOW_TYPES: dict[str, tuple[str, ...]] = {
    "I": ("int16", "int32", "uint32"),
    "F": ("float32",),
    "I;16": ("uint16",),
    "I;16B": ("uint16",),
}


def tiff_page(content: bytes, path: Path) -> tifffile.TiffPage:
    """Return the only page of a TIFF.

    Raises:
        DataError: The file is damaged, too large, or has several pages.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            if len(tiff.pages) != 1:
                raise DataError(
                    f"{path} is a TIFF stack of {len(tiff.pages)} pages; expected a single 2-D image. Save "
                    "one image per file.",
                    code="LEX-DATA-016",
                )
            page = tiff.pages.first
    except BROKEN as error:
        raise broken(path, error) from error
    # A damaged file can give several values, or a text, where one number is meant.
    if not all(isinstance(getattr(page, tag), int) for tag in _NUMBERS) or not (
        page.photometric is None or isinstance(page.photometric, int)
    ):
        raise broken(path, ValueError("a tag is no single number"))
    if page.imagewidth * page.imagelength > pixel_limit():
        raise too_large(path)
    return page


def is_lossy(page: tifffile.TiffPage) -> bool:
    """Return whether the compression of a TIFF may have changed values (JPEG and its successors)."""
    return int(page.compression) in _LOSSY_COMPRESSIONS


def is_inverted(page: tifffile.TiffPage) -> bool:
    """Return whether viewers show the lowest value of a TIFF as white."""
    return page.photometric is not None and int(page.photometric) == _WHITE_IS_ZERO


def pillow_reads(image: Image.Image | None, page: tifffile.TiffPage) -> bool:
    """Return whether Pillow reads a TIFF exactly."""
    if image is None or int(page.sampleformat) not in (_UNSIGNED, _VOID):
        return False
    if page.bitspersample <= 8:
        return True
    return page.bitspersample <= 16 and page.samplesperpixel == 1 and image.mode.startswith("I;16")


def deep_tiff(
    image: Image.Image | None, page: tifffile.TiffPage, content: bytes, path: Path
) -> StoredPixels | None:
    """Return the pixels of a TIFF; None for one of up to 8 unsigned bits, which Pillow reads.

    Raises:
        DataError: The file is damaged, or its channels, numbers or compression are not supported.
    """
    channels = _colour_channels(page, path)
    extras = [int(extra) for extra in page.extrasamples] or [0] * (page.samplesperpixel - channels)
    if len(extras) > 1:
        raise _unknown_channels(page, path)
    inverted = is_inverted(page)
    if pillow_reads(image, page):
        assert image is not None
        if extras == [0]:
            _demand_constant(_decoded(page, content, path, None)[..., -1], page, path)
        if page.bitspersample <= 8:
            return None
        return StoredPixels(values=_by_pillow(image, page, path), inverted=inverted)
    if page.photometric is None or int(page.photometric) not in _CHANNELS or page.dtype is None:
        raise _unsupported(page, path)
    if page.dtype.kind not in "biuf" or page.bitspersample not in (1, 8, 16, 32, 64):
        raise _unsupported(page, path)
    pixels = _decoded(page, content, path, image)
    if not extras:
        return StoredPixels(values=pixels[..., 0] if channels == 1 else pixels, inverted=inverted)
    values = pixels[..., 0] if channels == 1 else pixels[..., :channels]
    if extras == [0]:
        _demand_constant(pixels[..., -1], page, path)
        return StoredPixels(values=values, inverted=inverted)
    return StoredPixels(
        values=values,
        alpha=pixels[..., -1],
        premultiplied=extras == [_PREMULTIPLIED_ALPHA],
        inverted=inverted,
    )


def _colour_channels(page: tifffile.TiffPage, path: Path) -> int:
    """Return the number of channels without extra ones; refuse channels without a meaning."""
    kind = _BLACK_IS_ZERO if page.photometric is None else int(page.photometric)
    count = 1 if kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE) else 4 if kind == _CMYK else 3
    if page.samplesperpixel not in (count, count + 1):
        raise _unknown_channels(page, path)
    return count


def _decoded(
    page: tifffile.TiffPage, content: bytes, path: Path, image: Image.Image | None
) -> npt.NDArray[np.generic]:
    """Return (H, W, C) pixels in the type of the file."""
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            pixels = np.asarray(tiff.pages.first.asarray())
    except BROKEN as error:
        if "imagecodecs" not in str(error):
            raise broken(path, error) from error
        known = _PILLOW_TYPES.get(image.mode, ()) if image is not None else ()
        if image is None or page.samplesperpixel != 1 or str(page.dtype) not in known:
            raise _unsupported(page, path) from error
        pixels = _by_pillow(image, page, path)
    if pixels.ndim == 2:
        return pixels[..., None]
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim != 3 or pixels.shape[-1] != page.samplesperpixel:
        raise DataError(
            f"{path} is a TIFF of shape {pixels.shape}; expected a single grey, RGB or RGBA image.",
            code="LEX-DATA-017",
        )
    return pixels


def _by_pillow(image: Image.Image, page: tifffile.TiffPage, path: Path) -> npt.NDArray[np.generic]:
    """Return (H, W) pixels that Pillow decodes, in the type of the file, on the stored grid."""
    pixels = np.asarray(load_as_stored(image, path))
    # Pillow keeps 32 unsigned bits in signed numbers.
    return pixels.view(np.uint32) if str(page.dtype) == "uint32" else pixels


def _demand_constant(extra: npt.NDArray[np.generic], page: tifffile.TiffPage, path: Path) -> None:
    """Refuse an extra channel without a stated meaning, unless it holds one value only."""
    if extra.size and (extra != extra.flat[0]).any():
        raise _unknown_channels(page, path)


def _unknown_channels(page: tifffile.TiffPage, path: Path) -> DataError:
    return DataError(
        f"{path} is a TIFF with {counted(page.samplesperpixel, 'channel')}; expected 1 (grey), 3 (RGB) or 4 "
        "(RGBA), or 2 (grey with transparency). Save the channels to segment as a grey or RGB image.",
        code="LEX-DATA-015",
    )


def _unsupported(page: tifffile.TiffPage, path: Path) -> DataError:
    kind = getattr(page.photometric, "name", page.photometric)
    compression = getattr(page.compression, "name", page.compression)
    return DataError(
        f"{path} is a TIFF that cannot be read without loss: {counted(page.samplesperpixel, 'channel')} of "
        f"{page.dtype} ({counted(page.bitspersample, 'bit')}), {kind}, compression {compression}. Save it as "
        "grey or RGB, without compression or with Deflate, or as PNG.",
        code="LEX-DATA-653",
    )
