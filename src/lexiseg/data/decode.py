"""Decoding of image files to pixel arrays: the entry points, for images, masks and headers.

Pillow's limit against decompression bombs stays active, truncated files are errors, and an EXIF orientation
is never applied: image and mask are read on the grid on which they are stored.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.detection import DICOM_SUFFIXES, is_dicom, is_dicom_file, may_be_dicom
from lexiseg.clinic.facts import ImageFacts
from lexiseg.data.decoding.container import BROKEN, broken, open_image
from lexiseg.data.decoding.dicom import dicom_mask_values, dicom_pixels, open_dicom_image
from lexiseg.data.decoding.orientation import QUARTER_TURNS, load_as_stored, orientation_of
from lexiseg.data.decoding.png import deep_png, is_deep_png
from lexiseg.data.decoding.stored import CLIP_PERCENT, StoredPixels, fully_transparent, scale_to_8bit, to_8bit
from lexiseg.data.decoding.tiff import deep_tiff, is_inverted, is_lossy, tiff_page
from lexiseg.data.file_limits import refuse_large
from lexiseg.data.grey import own_pixels, three_channels
from lexiseg.data.volumes.volume_names import LABELS_ENDING, is_volume_file
from lexiseg.errors import DataError
from lexiseg.files import disk_error

__all__ = [
    "CLIP_PERCENT",
    "IMAGE_SUFFIXES",
    "Header",
    "MaskPixels",
    "decode_header",
    "decode_image",
    "decode_mask",
    "decode_picture",
    "is_image_file",
    "read_content",
    "resolve_palette",
    "scale_to_8bit",
]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}) | DICOM_SUFFIXES

_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_LARGEST_LABEL = 2**32 - 1

#: Tag of a TIFF, and its value for a picture whose lowest value is white.
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0

#: Largest difference of the channels of a grey picture that lossy compression makes.
_COLOUR_NOISE = 24


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


@dataclass(frozen=True, kw_only=True)
class MaskPixels:
    """A mask's pixels as stored.

    Attributes:
        values: (H, W) unsigned integers: grey values, palette indices, or colours packed as 0xRRGGBB.
        is_colour: Whether `values` are packed colours.
        palette: Packed colour per palette index where `values` are palette indices, else None.
        is_lossy: Whether the file's format may have changed values (JPEG, lossy WebP).
        is_inverted: Whether viewers show the lowest value as white (a TIFF of the kind WhiteIsZero).
    """

    values: npt.NDArray[np.integer]
    is_colour: bool
    palette: tuple[int, ...] | None
    is_lossy: bool
    is_inverted: bool = False


def read_content(path: Path) -> bytes:
    """Return the bytes of a file; of a slice or labels in a larger file (`lexiseg.data.volumes`), a PNG.

    Raises:
        DataError: The file does not exist, cannot be read, or is too large.
    """
    if is_volume_file(path.parent):
        from lexiseg.data.volumes.slice_files import is_slice, slice_content

        if is_slice(path) and path.parent.is_file():
            return slice_content(path)
    if path.name.endswith(LABELS_ENDING) and path.parent.parent.is_file():
        from lexiseg.data.volumes.segmented_images import segmented_image

        return segmented_image(path)
    try:
        refuse_large(path, path.stat().st_size)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.", code="LEX-DATA-009") from error
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # it says nothing about this file
            raise disk_error(path, error) from error
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", code="LEX-DATA-010") from error


def is_image_file(path: Path) -> bool:
    """Return whether a file is read as an image: by its ending, or, without one, by its content (DICOM)."""
    return path.suffix.lower() in IMAGE_SUFFIXES or (may_be_dicom(path) and is_dicom_file(path))


def decode_header(content: bytes, path: Path) -> Header:
    """Return the header of an image file without decoding its pixels.

    Raises:
        DataError: The file is not an image that can be used.
        UsageError: It is a DICOM file, and pydicom is not installed.
    """
    if is_dicom(content):
        opened = open_dicom_image(content, path)
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
        values, is_colour = _pack(dicom_mask_values(content, path), path)
        return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=False)
    image = open_image(content, path)
    stored, inverted = _deep_pixels(image, content, path)
    palette = None
    pixels: npt.NDArray[Any]
    if stored is not None:
        pixels = _deep_mask(stored, path)
    else:
        assert image is not None
        image = load_as_stored(image, path)
        if image.mode == "P":
            pixels, palette = np.asarray(image), _packed_palette(image)
        elif image.mode in ("L", "1"):
            # Pillow inverts a TIFF of the kind WhiteIsZero; a mask's numbers are those that the file stores.
            values = np.asarray(image)
            pixels = np.asarray(np.bitwise_not(values) if inverted else values, dtype=np.uint8)
            if image.mode == "1":
                pixels = pixels & np.uint8(1)
        elif _has_alpha(image):
            pixels = _mask_over_black(image, path)
        else:
            pixels = np.asarray(image.convert("RGB"))
    is_lossy = _is_lossy(image, content, path)
    values = _whole(pixels, path)
    is_colour = False
    if values.ndim == 3 and is_lossy:
        values = _without_colour_noise(values)
    if values.ndim == 3:
        values, is_colour = _pack(values, path)
    return MaskPixels(
        values=values, is_colour=is_colour, palette=palette, is_lossy=is_lossy, is_inverted=inverted
    )


def resolve_palette(pixels: MaskPixels) -> MaskPixels:
    """Replace palette indices by their colours, or by grey values if all colours are grey."""
    if pixels.palette is None:
        return pixels
    packed = np.asarray(pixels.palette, dtype=np.uint32)[pixels.values]
    colours = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1).astype(np.uint8)
    values, is_colour = _pack(colours, None)
    return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=pixels.is_lossy)


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
        raise _shape_in_alpha(path)
    return drawn


def _deep_mask(stored: StoredPixels, path: Path) -> npt.NDArray[Any]:
    """Return a deep mask's values, transparent pixels as background."""
    if stored.alpha is None:
        return stored.values
    opaque = stored.alpha > 0
    if not opaque.any() and stored.values.any():
        raise fully_transparent(path)
    drawn = np.where(opaque if stored.values.ndim == 2 else opaque[..., None], stored.values, 0)
    if not drawn.any() and not opaque.all():
        raise _shape_in_alpha(path)
    return drawn.astype(stored.values.dtype)


def _shape_in_alpha(path: Path) -> DataError:
    return DataError(
        f"{path} is black everywhere; its shape is in the transparency (alpha channel). Save the alpha "
        "channel as a grey PNG: 0 for the background, 255 for the lesion.",
        code="LEX-DATA-654",
    )


def _packed_palette(image: Image.Image) -> tuple[int, ...]:
    """Return the palette's colours, packed as 0xRRGGBB; black beyond its end."""
    flat = image.getpalette("RGB") or []
    colours = [flat[i] << 16 | flat[i + 1] << 8 | flat[i + 2] for i in range(0, len(flat) - 2, 3)]
    return tuple(colours + [0] * (256 - len(colours)))


def _pack(colours: npt.NDArray[np.integer], path: Path | None) -> tuple[npt.NDArray[np.integer], bool]:
    """Return grey values if all three channels are equal everywhere, otherwise colours as 0xRRGGBB."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), False
    wide = colours.astype(np.uint32)
    if wide.max() > 255:
        # A colour of 8 bits that was saved with 16 bits is repeated in both bytes.
        if (wide % 257).any():
            raise DataError(
                f"{path} is a colour mask of more than 8 bits per channel. Save it with 8 bits or as grey "
                f"labels.",
                code="LEX-DATA-011",
            )
        wide //= 257
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], True


def _without_colour_noise(colours: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the mean of the channels if they differ by little, as in a grey picture after compression."""
    wide = colours.astype(np.int64)
    if (wide.max(axis=-1) - wide.min(axis=-1)).max(initial=0) > _COLOUR_NOISE:
        return colours
    return np.asarray(np.rint(wide.mean(axis=-1)), dtype=colours.dtype)


def _whole(pixels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.integer]:
    """Return mask pixels as unsigned integers, refusing fractions, negative and very large numbers."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 4:
        return np.asarray(pixels)
    if pixels.dtype.kind == "f":
        whole = bool(np.isfinite(pixels).all()) and not (pixels != np.rint(pixels)).any()
    else:
        whole = True
    if not whole or (pixels < 0).any():
        raise DataError(
            f"{path} holds fractions or negative numbers; expected whole label values from 0 up.",
            code="LEX-DATA-020",
        )
    if pixels.size and float(pixels.max()) > _LARGEST_LABEL:
        raise DataError(
            f"{path} holds numbers up to {pixels.max()}; expected label values from 0 to {_LARGEST_LABEL}.",
            code="LEX-DATA-655",
        )
    return pixels.astype(np.uint32)
