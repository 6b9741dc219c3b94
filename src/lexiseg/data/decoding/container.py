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
# What files of other kinds begin with, what they are, and what to do with them.
_OTHER_KINDS = (
    (b"\x89PNG", "a damaged PNG file. Copy it again, or remove it."),
    (b"\xff\xd8\xff", "a damaged JPEG file. Copy it again, or remove it."),
    (b"GIF8", "a GIF file. Save it as PNG."),
    (b"%PDF", "a PDF document. Export its pictures as PNG."),
    (b"PK\x03\x04", "a ZIP archive or an Office document. Unpack it, or export its pictures as PNG."),
    (b"\x1f\x8b", "a compressed file (gzip). Unpack it."),
    (b"version https://git-lfs", "a Git LFS pointer. Run: git lfs pull"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 file. Export it as PNG."),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 file. Export it as PNG."),
    (b"8BPS", "a Photoshop file. Export it as PNG."),
    (b"NRRD", "a volume (NRRD). Give it a name that ends in .nrrd."),
    (b"\x89HDF", "an HDF5 file. Export its images as PNG or TIFF."),
    (b"\x93NUMPY", "a NumPy array. Save its images as PNG or TIFF."),
)
# Bytes in which a text is told from other files.
_TEXT_BYTES = 512


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
        raise too_large(path) from error
    except UnidentifiedImageError as error:
        if content[:4] in _TIFF_STARTS:
            return None
        raise DataError(
            f"{path} is not a readable image: expected PNG, JPEG, TIFF, BMP, WebP or DICOM, got "
            f"{_kind_of(content)}",
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
        raise too_large(path) from error
    except BROKEN as error:
        raise broken(path, error) from error


#: Code of the error for a picture above the pixel limit.
TOO_LARGE_CODE = "LEX-DATA-012"


def pixel_limit() -> int:
    """Return the largest number of pixels that is read."""
    return 2 * (Image.MAX_IMAGE_PIXELS or 2**62)


def too_large(path: Path) -> DataError:
    """Return the error of a picture above the pixel limit."""
    return DataError(
        f"{path} declares suspiciously many pixels: more than the limit of {pixel_limit():,}. If the file is "
        "right, resize it (for example to 4000 pixels on the longer side) or cut it into tiles, and predict "
        "those. In Python, a larger PIL.Image.MAX_IMAGE_PIXELS raises the limit.",
        code="LEX-DATA-012",
    )


def broken(path: Path, error: BaseException) -> DataError:
    """Return the error of a file that a decoder could not read."""
    return DataError(
        f"{path} is damaged or truncated and cannot be decoded: {error}. Replace or remove the file.",
        code="LEX-DATA-019",
    )


def _kind_of(content: bytes) -> str:
    """Return what a file that is not an image seems to be, and what to do with it, in two sentences."""
    if not content:
        return "an empty file. Copy it again, or remove it."
    if content[4:8] == b"ftyp":
        kind = "HEIC" if content[8:12] in _HEIF_BRANDS else "AVIF" if content[8:12] == b"avif" else "video"
        return f"a file of the kind {kind}. Export it as PNG or JPEG."
    for start, kind in _OTHER_KINDS:
        if content.startswith(start):
            return kind
    if content.lstrip()[:1] == b"<":
        return "an HTML, XML or SVG file. Download or export the image itself."
    if content[:_TEXT_BYTES].isascii() and not any(byte in content[:_TEXT_BYTES] for byte in range(9)):
        return "a text file. Remove it from the images."
    return (
        "a file of an unknown kind. Open it in the program that wrote it and export it as PNG, or remove it "
        "from the images."
    )
