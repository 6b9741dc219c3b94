"""Decoding of image files to pixel arrays: the entry points, for images, masks and headers.

Pillow's limit against decompression bombs stays active, truncated files are errors, and an EXIF orientation
is never applied: image and mask are read on the grid on which they are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.detection import DICOM_SUFFIXES, is_dicom, is_dicom_file, may_be_dicom
from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decoding.container import BROKEN, broken, open_image
from lexiseg.data.decoding.dicom import dicom_mask_values, dicom_pixels, open_dicom_image
from lexiseg.data.decoding.mask_pixels import (
    MaskPixels,
    deep_mask_values,
    pack_colours,
    packed_palette,
    shape_in_alpha,
    white_step,
    whole_numbers,
    without_colour_noise,
)
from lexiseg.data.decoding.orientation import QUARTER_TURNS, load_as_stored, orientation_of
from lexiseg.data.decoding.png import deep_png, is_deep_png, png_bits
from lexiseg.data.decoding.stored_pixels import StoredPixels, fully_transparent, to_8bit
from lexiseg.data.decoding.tiff import deep_tiff, is_inverted, is_lossy, tiff_page
from lexiseg.data.grey import own_pixels, three_channels

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}) | DICOM_SUFFIXES

_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

#: Tag of a TIFF, and its value for a picture whose lowest value is white.
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of an image file; its pixels are not decoded.

    Attributes:
        height: Rows.
        width: Columns.
        mode: Pillow's mode, such as "L", "RGB" or "I;16".
        has_alpha: Whether it has transparency.
        is_deep: Whether its pixels have more than 8 bits per channel.
        orientation: EXIF orientation, 1 (as stored) to 8 (viewers rotate or mirror the picture).
        facts: What a DICOM file says about its image; None for other files.
    """

    height: int
    width: int
    mode: str
    has_alpha: bool
    is_deep: bool
    orientation: int
    facts: ImageFacts | None = None

    @property
    def turned(self) -> bool:
        """Whether an EXIF tag tells viewers to rotate or mirror the picture."""
        return self.orientation != 1


def is_image_file(path: Path) -> bool:
    """Return whether a file is read as an image: by its ending, or, without one, by its content (DICOM)."""
    return path.suffix.lower() in IMAGE_SUFFIXES or (may_be_dicom(path) and is_dicom_file(path))


def decode_header(content: bytes, path: Path, view: View = AS_STORED) -> Header:
    """Return the header of an image file without decoding its pixels.

    Args:
        content: The file.
        path: Its name, for messages.
        view: The window and the frame of a DICOM file.

    Raises:
        DataError: The file is not an image that can be used.
        UsageError: It is a DICOM file, and pydicom is not installed.
    """
    if is_dicom(content):
        opened = open_dicom_image(content, path, view)
        height, width = opened.size
        # The way of its values to 8 bits is among the assumptions of its facts.
        return Header(
            height=height,
            width=width,
            mode="DICOM",
            has_alpha=False,
            is_deep=False,
            orientation=1,
            facts=opened.facts,
        )
    image = open_image(content, path)
    page = tiff_page(content, path) if image is None or image.format == "TIFF" else None
    if image is None:
        assert page is not None
        return Header(
            height=page.imagelength,
            width=page.imagewidth,
            mode=f"{page.samplesperpixel} x {page.dtype}",
            has_alpha=any(int(extra) for extra in page.extrasamples),
            is_deep=page.bitspersample > 8,
            orientation=1,
        )
    orientation = orientation_of(image)
    # Pillow swaps rows and columns of a TIFF whose orientation is a quarter turn.
    turned_size = page is not None and orientation in QUARTER_TURNS
    return Header(
        height=image.width if turned_size else image.height,
        width=image.height if turned_size else image.width,
        mode=image.mode,
        has_alpha=_has_alpha(image),
        is_deep=image.mode in _DEEP_MODES
        or (image.format == "PNG" and is_deep_png(content))
        or (page is not None and page.bitspersample > 8),
        orientation=orientation,
    )


def decode_image(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    """Return an image as (H, W, 3) uint8.

    Grey is repeated to three channels; transparent images are drawn on black; pixels of more than 8 bits are
    scaled by `scale_to_8bit`; a palette is resolved; DICOM files are shown with their window.

    Raises:
        DataError: The file is damaged, truncated, too large, fully transparent, or not a single 2-D image, or
            its kind of pixels is not supported.
        UsageError: It is a DICOM file, and pydicom is not installed.
    """
    if is_dicom(content):
        return own_pixels(dicom_pixels(open_dicom_image(content, path)))
    return own_pixels(decode_picture(content, path)[0])


def decode_picture(content: bytes, path: Path) -> tuple[npt.NDArray[np.uint8], int]:
    """Return an image that is no DICOM file as `pillow_pixels` does, and its EXIF orientation, 1 to 8.

    Raises:
        DataError: As for `decode_image`.
    """
    image = open_image(content, path)
    orientation = 1 if image is None else orientation_of(image)
    stored, _ = _deep_pixels(image, content, path)
    if stored is not None:
        return to_8bit(stored, path), orientation
    assert image is not None
    return pillow_pixels(image, path), orientation


def pillow_pixels(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    """Return the pixels of a PIL image as (H, W, 3) uint8, as `decode_image` does for the file.

    Those of a grey image are a view that cannot be written to (`lexiseg.data.grey.three_channels`).

    Args:
        image: The image, on its own or opened from a file; of one frame.
        path: Its name, for messages.

    Raises:
        DataError: It is damaged, truncated, too large, or fully transparent.
    """
    inverted = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    image = load_as_stored(image, path)
    try:
        if image.mode in _DEEP_MODES:
            values = np.asarray(image)
            native = values.astype(values.dtype.newbyteorder("="))
            # Pillow inverts a TIFF of the kind WhiteIsZero of 8 bits, but not one of more.
            return to_8bit(StoredPixels(values=native, inverted=inverted), path)
        if _has_alpha(image):
            return _over_black(image, path)
        return three_channels(np.asarray(image)) if image.mode == "L" else np.array(image.convert("RGB"))
    except BROKEN as error:
        raise broken(path, error) from error


def decode_mask(content: bytes, path: Path) -> MaskPixels:
    """Return a mask's pixels as they are stored, also where a TIFF of the kind WhiteIsZero is shown inverted.

    Args:
        content: The file's bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file is damaged, truncated, not a single 2-D image, holds fractions or negative
            numbers, or hides its shape in the alpha channel.
        UsageError: It is a DICOM file, and pydicom is not installed.
    """
    if is_dicom(content):
        values, is_colour = pack_colours(dicom_mask_values(content, path), path)
        return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=False)
    image = open_image(content, path)
    stored, inverted = _deep_pixels(image, content, path)
    palette, bits = None, 8
    pixels: npt.NDArray[Any]
    if stored is not None:
        pixels = deep_mask_values(stored, path)
        bits = 1 if pixels.dtype == np.bool_ else 8
    else:
        assert image is not None
        image = load_as_stored(image, path)
        if image.mode == "P":
            pixels, palette = np.asarray(image), packed_palette(image)
        elif image.mode in ("L", "1"):
            # Pillow inverts a TIFF of the kind WhiteIsZero; a mask's numbers are those that the file stores.
            values = np.asarray(image)
            pixels = np.asarray(np.bitwise_not(values) if inverted else values, dtype=np.uint8)
            bits = 1 if image.mode == "1" else _few_bits(content, path)
            # Pillow spreads 2 and 4 bits over 0 to 255.
            pixels = pixels & np.uint8(1) if bits == 1 else pixels // np.uint8(white_step(bits))
        elif _has_alpha(image):
            pixels = _mask_over_black(image, path)
        else:
            pixels = np.asarray(image.convert("RGB"))
    is_lossy = _is_lossy(image, content, path)
    values = whole_numbers(pixels, path)
    is_colour = False
    if values.ndim == 3 and is_lossy:
        values = without_colour_noise(values)
    if values.ndim == 3:
        values, is_colour = pack_colours(values, path)
    return MaskPixels(
        values=values,
        is_colour=is_colour,
        palette=palette,
        is_lossy=is_lossy,
        is_inverted=inverted,
        bits=bits,
    )


def _few_bits(content: bytes, path: Path) -> int:
    """Return the bits per pixel of a grey image that Pillow opens in its mode of 8 bits: 2, 4 or 8."""
    bits = 8
    if content.startswith(b"\x89PNG"):
        bits = png_bits(content)
    elif content[:2] in (b"II", b"MM"):
        bits = tiff_page(content, path).bitspersample
    return bits if bits in (2, 4) else 8


def _deep_pixels(image: Image.Image | None, content: bytes, path: Path) -> tuple[StoredPixels | None, bool]:
    """Return pixels of other types than uint8 (None for uint8), and whether viewers invert the picture."""
    if image is None or image.format == "TIFF":
        page = tiff_page(content, path)
        return deep_tiff(image, page, content, path), is_inverted(page)
    return (deep_png(image, content, path) if image.format == "PNG" else None), False


def _is_lossy(image: Image.Image | None, content: bytes, path: Path) -> bool:
    """Return whether the file's compression may have changed values."""
    if image is None or image.format == "TIFF":
        return is_lossy(tiff_page(content, path))
    if content[8:12] == b"WEBP":
        return b"VP8L" not in content[12:4096]
    return content[:2] == b"\xff\xd8"


def _has_alpha(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in _ALPHA_MODES
    # A picture that was made in memory can hold transparency in its palette alone.
    in_palette = image.palette is not None and image.palette.mode.endswith("A")
    return in_palette or "transparency" in image.info


def _over_black(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    """Return an image with transparency drawn on black, (H, W, 3) uint8."""
    rgba = np.asarray(image.convert("RGBA"))
    if rgba[..., 3].min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    if not rgba[..., 3].any() and rgba.any():
        raise fully_transparent(path)
    weighted = rgba[..., :3].astype(np.uint16) * rgba[..., 3:].astype(np.uint16)
    return ((weighted + 127) // 255).astype(np.uint8)


def _mask_over_black(image: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    """Return a mask with transparency drawn on black; refuse one whose shape is only in the alpha channel."""
    rgba = np.asarray(image.convert("RGBA"))
    drawn = _over_black(image, path)
    if not drawn.any() and rgba[..., 3].min() != rgba[..., 3].max():
        raise shape_in_alpha(path)
    return drawn
