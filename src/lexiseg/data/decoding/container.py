"""Opening of image files: the container is recognised, and everything but a single 2-D image is refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from threading import Lock

import tifffile
from PIL import Image, ImageFile, UnidentifiedImageError

from lexiseg.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")

#: What decoders raise on damaged files.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)

_one_thread = Lock()

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def open_image(content: bytes, path: Path) -> Image.Image | None:
    """Read the header of an image file.

    Returns:
        Pillow's image, its pixels not decoded; None for a TIFF that Pillow cannot open.

    Raises:
        DataError: The file is damaged, not an image, too large, or holds several pages or frames.
    """
    try:
        image = quietly_opened(content, FORMATS)
        frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError as error:
        raise DataError(too_large(path), code="LEX-DATA-012") from error
    except UnidentifiedImageError as error:
        if content[:4] in _TIFF_STARTS:
            return None
        raise DataError(
            f"{path} is not a readable image: expected PNG, JPEG, TIFF, BMP, WebP or DICOM, got "
            f"{_looks_like(content)}.",
            code="LEX-DATA-013",
        ) from error
    except BROKEN as error:
        raise broken(path, error) from error
    if frames > 1 and image.format != "MPO":
        raise DataError(
            f"{path} holds {frames} pages or frames; expected a single 2-D image. Save one image per file.",
            code="LEX-DATA-014",
        )
    return image


def quietly_opened(content: bytes, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    """Open an image with Pillow, without its warning about large ones.

    Up to twice Pillow's limit it only warns, and such images are read; above it, `too_large` says what to do.

    Args:
        content: The file's bytes.
        formats: The formats that are tried, by Pillow's names.

    Raises:
        PIL.UnidentifiedImageError: It is no such image.
        PIL.Image.DecompressionBombError: It is too large.
        OSError: It is damaged; other errors of `BROKEN` are possible too.
    """
    # Warnings are switched for the whole process, so by one thread at a time, and only for this moment.
    with _one_thread, warnings.catch_warnings():
        warnings.simplefilter("ignore", category=Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content), formats=formats)


def load(image: Image.Image, path: Path) -> None:
    """Decode the pixels of an opened image.

    Raises:
        DataError: The file is damaged or too large.
    """
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise DataError(too_large(path), code="LEX-DATA-018") from error
    except BROKEN as error:
        raise broken(path, error) from error


def pixel_limit() -> int:
    """Return the largest number of pixels that is read."""
    return 2 * (Image.MAX_IMAGE_PIXELS or 2**62)


def too_large(path: Path) -> str:
    """Return the message for a picture above the pixel limit."""
    return (
        f"{path} declares suspiciously many pixels: more than the limit of {pixel_limit():,}. If the file is "
        "right, resize it (for example to 4000 pixels on the longer side) or cut it into tiles, and predict "
        "those. In Python, a larger PIL.Image.MAX_IMAGE_PIXELS raises the limit."
    )


def broken(path: Path, error: BaseException) -> DataError:
    """Return the error of a file that a decoder could not read."""
    return DataError(
        f"{path} is damaged or truncated and cannot be decoded: {error}. Replace or remove the file.",
        code="LEX-DATA-019",
    )


def _looks_like(content: bytes) -> str:
    """Return what a file that is not an image seems to be."""
    if not content:
        return "an empty file"
    if content[4:8] == b"ftyp":
        kind = "HEIC" if content[8:12] in _HEIF_BRANDS else "AVIF" if content[8:12] == b"avif" else "video"
        return f"a file of the kind {kind} (export it as PNG or JPEG)"
    if content[:4] == b"GIF8":
        return "a GIF file (save it as PNG)"
    if content.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run: git lfs pull)"
    if content.lstrip()[:1] == b"<":
        return "an HTML or XML page"
    return f"bytes starting with {content[:8]!r}"
