"""Decoding of image files to pixel arrays; all calls of image libraries' decoders are here.

Pillow's limit against decompression bombs stays active, truncated files are errors, and an EXIF orientation
is never applied: image and mask are read on the grid on which they are stored.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, UnidentifiedImageError

from lexiseg.errors import DataError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})

#: Percentage of pixels clipped at either end when an image of more than 8 bits is scaled to 8 bits.
CLIP_PERCENT = 0.5

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC = 262
_QUARTER_TURNS = (5, 6, 7, 8)
_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of an image file; its pixels are not decoded.

    Attributes:
        height: Rows.
        width: Columns.
        mode: Pillow's mode, such as "L", "RGB" or "I;16".
        has_alpha: Whether it has transparency.
        is_deep: Whether its pixels have more than 8 bits per channel.
        turned: Whether an EXIF tag tells viewers to rotate or mirror the picture.
    """

    height: int
    width: int
    mode: str
    has_alpha: bool
    is_deep: bool
    turned: bool


@dataclass(frozen=True, kw_only=True)
class MaskPixels:
    """A mask's pixels as stored.

    Attributes:
        values: (H, W) unsigned integers: grey values, palette indices, or colours packed as 0xRRGGBB.
        is_colour: Whether `values` are packed colours.
        palette: Packed colour per palette index where `values` are palette indices, else None.
        is_lossy: Whether the file's format may have changed values (JPEG).
    """

    values: npt.NDArray[np.integer]
    is_colour: bool
    palette: tuple[int, ...] | None
    is_lossy: bool


def read_content(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: The file does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.", code="LEX-DATA-009") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", code="LEX-DATA-010") from error


def decode_header(content: bytes, path: Path) -> Header:
    """Return the header of an image file without decoding its pixels.

    Raises:
        DataError: The file is not an image that can be used.
    """
    image = _open(content, path)
    pages = _tiff_pages(content, path) if image.format == "TIFF" else None
    orientation = _orientation(image)
    # Pillow swaps rows and columns of a TIFF whose orientation is a quarter turn.
    turned_size = image.format == "TIFF" and orientation in _QUARTER_TURNS
    return Header(
        height=image.width if turned_size else image.height,
        width=image.height if turned_size else image.width,
        mode=image.mode,
        has_alpha=image.mode in _ALPHA_MODES or (image.mode == "P" and "transparency" in image.info),
        is_deep=image.mode in _DEEP_MODES or (pages is not None and pages.bitspersample > 8),
        turned=orientation != 1,
    )


def decode_image(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    """Return an image as (H, W, 3) uint8.

    Grey is repeated to three channels; transparent images are drawn on black; pixels of more than 8 bits are
    scaled by `scale_to_8bit`; a palette is resolved.

    Raises:
        DataError: The file is damaged, truncated, suspiciously large, or not a single 2-D image.
    """
    image = _open(content, path)
    deep_tiff = _deep_tiff(content, path) if image.format == "TIFF" else None
    if deep_tiff is not None:
        return _rgb(scale_to_8bit(deep_tiff))
    white_is_zero = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC, 1) == 0
    image = _load(image, path)
    if image.mode in _DEEP_MODES:
        scaled = _rgb(scale_to_8bit(np.asarray(image)))
        # Pillow inverts 8 bit images that store white as 0, but not images of more bits.
        return np.bitwise_not(scaled) if white_is_zero else scaled
    if image.mode in _ALPHA_MODES or (image.mode == "P" and "transparency" in image.info):
        return _over_black(image)
    return np.array(image.convert("RGB"))


def decode_mask(content: bytes, path: Path) -> MaskPixels:
    """Return a mask's pixels as they are stored.

    Args:
        content: The file's bytes.
        path: Its name, for messages.

    Raises:
        DataError: The file is damaged, truncated, not a single 2-D image, or holds fractions or negative
            numbers.
    """
    image = _open(content, path)
    is_lossy = image.format in ("JPEG", "MPO")
    deep_tiff = _deep_tiff(content, path) if image.format == "TIFF" else None
    if deep_tiff is None:
        image = _load(image, path)
    palette = None
    if deep_tiff is not None:
        pixels = deep_tiff
    elif image.mode == "P":
        pixels, palette = np.asarray(image), _packed_palette(image)
    elif image.mode in _DEEP_MODES or image.mode == "L":
        pixels = np.asarray(image)
    elif image.mode == "1":
        pixels = np.asarray(image).astype(np.uint8)
    else:
        pixels = _over_black(image) if image.mode in _ALPHA_MODES else np.asarray(image.convert("RGB"))
    if pixels.ndim == 2:
        return MaskPixels(values=_whole(pixels, path), is_colour=False, palette=palette, is_lossy=is_lossy)
    values, is_colour = _pack(_whole(pixels, path))
    if is_colour and pixels.max() > 255:
        raise DataError(
            f"{path} is a colour mask of more than 8 bits per channel. Save it with 8 bits or as grey "
            f"labels.",
            code="LEX-DATA-011",
        )
    return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=is_lossy)


def resolve_palette(pixels: MaskPixels) -> MaskPixels:
    """Replace palette indices by their colours, or by grey values if all colours are grey."""
    if pixels.palette is None:
        return pixels
    packed = np.asarray(pixels.palette, dtype=np.uint32)[pixels.values]
    colours = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1).astype(np.uint8)
    values, is_colour = _pack(colours)
    return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=pixels.is_lossy)


def scale_to_8bit(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Scale pixels of more than 8 bits to 0..255, linearly between their own 0.5th and 99.5th percentile.

    Devices use different ranges (10, 12, 14 or 16 bits) and files do not state them reliably, so a fixed
    divisor would make many images almost black. Percentiles make the range independent of burnt-in markers.
    Pixels outside are clipped; an image of a single value becomes black.

    Args:
        pixels: (H, W) or (H, W, C), any integer or floating type; one range for all channels.

    Returns:
        The same shape, uint8.
    """
    values = pixels.astype(np.float32)
    low, high = np.percentile(values, (CLIP_PERCENT, 100 - CLIP_PERCENT))
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = np.clip((values - low) * (255.0 / (high - low)), 0, 255)
    return np.asarray(np.rint(scaled), dtype=np.uint8)


def _open(content: bytes, path: Path) -> Image.Image:
    """Read the header; refuse everything that is not a single 2-D image."""
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} declares suspiciously many pixels: {error}", code="LEX-DATA-012") from error
    except UnidentifiedImageError as error:
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _open_deep_tiff(content, path)
        raise DataError(
            f"{path} is not a readable image: expected PNG, JPEG, TIFF, BMP or WebP, got "
            f"{_looks_like(content)}.",
            code="LEX-DATA-013",
        ) from error
    except _BROKEN as error:
        raise _broken(path, error) from error
    if frames > 1 and image.format != "MPO":
        raise DataError(
            f"{path} holds {frames} pages or frames; expected a single 2-D image. Save one image per file.",
            code="LEX-DATA-014",
        )
    return image


def _open_deep_tiff(content: bytes, path: Path) -> Image.Image:
    """Return an empty image of a TIFF's size, for TIFFs that Pillow cannot open; check the structure."""
    page = _tiff_pages(content, path)
    if page.samplesperpixel not in (1, 3, 4):
        raise DataError(
            f"{path} is a TIFF with {page.samplesperpixel} channels; expected 1 (grey), 3 (RGB) or 4 (RGBA). "
            "Save the channels to segment as a grey or RGB image.",
            code="LEX-DATA-015",
        )
    image = Image.new("RGB", (page.imagewidth, page.imagelength))
    image.format = "TIFF"
    return image


def _tiff_pages(content: bytes, path: Path) -> tifffile.TiffPage:
    """Return the only page of a TIFF."""
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            if len(tiff.pages) != 1:
                raise DataError(
                    f"{path} is a TIFF stack of {len(tiff.pages)} pages; expected a single 2-D image. Save "
                    "one image per file.",
                    code="LEX-DATA-016",
                )
            return tiff.pages.first
    except (tifffile.TiffFileError, *_BROKEN) as error:
        raise _broken(path, error) from error


def _deep_tiff(content: bytes, path: Path) -> npt.NDArray[np.generic] | None:
    """Return a TIFF with several channels of more than 8 bits, which Pillow cannot read; None for others.

    Returns:
        (H, W, 3); transparent pixels are drawn on black.
    """
    page = _tiff_pages(content, path)
    if page.bitspersample <= 8 or page.samplesperpixel == 1:
        return None
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            pixels = np.asarray(tiff.pages[0].asarray())
    except (tifffile.TiffFileError, *_BROKEN) as error:
        raise _broken(path, error) from error
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4):
        raise DataError(
            f"{path} is a TIFF of shape {pixels.shape}; expected a single grey, RGB or RGBA image.",
            code="LEX-DATA-017",
        )
    if pixels.shape[-1] == 3:
        return pixels
    full = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1.0
    return np.asarray(pixels[..., :3] * (pixels[..., 3:] / full))


def _load(image: Image.Image, path: Path) -> Image.Image:
    """Decode the pixels on the grid on which they are stored."""
    orientation = _orientation(image) if image.format == "TIFF" else 1
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} declares suspiciously many pixels: {error}", code="LEX-DATA-018") from error
    except _BROKEN as error:
        raise _broken(path, error) from error
    # Pillow applies the orientation of TIFFs, but of no other format; undo that.
    return image.transpose(_UNDO_ORIENTATION[orientation]) if orientation != 1 else image


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (as stored) to 8."""
    if image.format == "TIFF":
        found = getattr(image, "tag_v2", {}).get(_EXIF_ORIENTATION, 1)
    elif image.format == "PNG" and "exif" not in image.info:
        # Pillow would decode the pixels to look for EXIF data behind them.
        return 1
    else:
        try:
            found = image.getexif().get(_EXIF_ORIENTATION, 1)
        except _BROKEN:
            # Without readable EXIF data the orientation is as stored.
            return 1
    return found if found in _UNDO_ORIENTATION else 1


def _broken(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"{path} is damaged or truncated and cannot be decoded: {error}. Replace or remove the file.",
        code="LEX-DATA-019",
    )


def _looks_like(content: bytes) -> str:
    """Return what a file that is not an image seems to be."""
    if not content:
        return "an empty file"
    if content[128:132] == b"DICM":
        return "a DICOM file"
    if content.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run: git lfs pull)"
    if content.lstrip()[:1] == b"<":
        return "an HTML or XML page"
    return f"bytes starting with {content[:8]!r}"


def _over_black(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return an image with transparency drawn on black, (H, W, 3) uint8."""
    rgba = np.asarray(image.convert("RGBA"))
    if rgba[..., 3].min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weighted = rgba[..., :3].astype(np.uint16) * rgba[..., 3:].astype(np.uint16)
    return ((weighted + 127) // 255).astype(np.uint8)


def _rgb(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _packed_palette(image: Image.Image) -> tuple[int, ...]:
    """Return the palette's colours, packed as 0xRRGGBB; black beyond its end."""
    flat = image.getpalette("RGB") or []
    colours = [flat[i] << 16 | flat[i + 1] << 8 | flat[i + 2] for i in range(0, len(flat) - 2, 3)]
    return tuple(colours + [0] * (256 - len(colours)))


def _pack(colours: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.integer], bool]:
    """Return grey values if all three channels are equal everywhere, otherwise colours as 0xRRGGBB."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), False
    wide = colours.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], True


def _whole(pixels: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.integer]:
    """Return mask pixels as unsigned integers, refusing fractions and negative numbers."""
    if pixels.dtype.kind == "u":
        return np.asarray(pixels)
    values = np.asarray(pixels, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.rint(values)).any():
        raise DataError(
            f"{path} holds fractions or negative numbers; expected whole label values from 0 up.",
            code="LEX-DATA-020",
        )
    return values.astype(np.uint32)
