"""Reading and writing images and masks, one file at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.content import mask_turn, read_content
from lexiseg.data.decode import IMAGE_SUFFIXES, decode_header, decode_image, decode_mask
from lexiseg.data.decoded_image import DecodedImage, decode_with_facts
from lexiseg.data.decoding.few_bits import UnclearDepthError, unclear
from lexiseg.data.grey import own_pixels
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_inference import infer_mask_coding
from lexiseg.data.mask_parts import mask_parts
from lexiseg.data.mask_png import mask_png
from lexiseg.data.sample import Sample
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.errors import DataError, UsageError
from lexiseg.files import atomic_path

__all__ = [
    "IMAGE_SUFFIXES",
    "MaskCoding",
    "image_size",
    "infer_mask_coding",
    "mask_content",
    "read_image",
    "read_image_with_facts",
    "read_labels",
    "read_mask",
    "read_pair",
    "save_mask",
    "write_mask",
]

#: Options with which each format is lossless.
_LOSSLESS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".bmp": {},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
    ".webp": {"lossless": True},
}


def read_image(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read one image.

    Grey images are repeated to three channels, transparent images are drawn on black, images of more than 8
    bits are scaled linearly between their own 0.5th and 99.5th percentile, and an EXIF orientation is not
    applied.

    Args:
        path: A PNG, JPEG, TIFF, BMP, WebP or DICOM file.

    Returns:
        (H, W, 3) uint8.

    Raises:
        DataError: The file is missing, damaged, truncated, suspiciously large, or not a single 2-D image.
    """
    path = Path(path)
    return decode_image(read_content(path), path)


def read_image_with_facts(path: str | Path, view: View = AS_STORED) -> DecodedImage:
    """Read one image as `read_image` does, with what a DICOM file says about it.

    Args:
        path: The file.
        view: The window and the frame of a DICOM file.

    Raises:
        DataError: As for `read_image`, or the file is a volume.
    """
    path = Path(path)
    if is_volume_file(path) and path.is_file():
        raise DataError(
            f"{path} is a volume; expected an image. In Python, lexiseg.predict_volume and "
            "lexiseg.predict_volumes_to_files predict volumes; the command `lexiseg predict` takes them too.",
            code="LEX-DATA-2082",
        )
    return decode_with_facts(read_content(path), path, view)


def read_labels(sample: Sample, coding: MaskCoding) -> npt.NDArray[np.uint8]:
    """Return the labels of a sample's mask, `(H, W)` uint8, on the stored grid of its image.

    Raises:
        DataError: As for `read_mask`.
    """
    assert sample.mask is not None
    return read_mask(sample.mask, coding, image=sample.image)


def read_mask(path: str | Path, coding: MaskCoding, *, image: Path | None = None) -> npt.NDArray[np.uint8]:
    """Read the mask of one image as labels; numbered parts of it (`mask_parts`) are joined.

    Args:
        path: A PNG, JPEG, TIFF, BMP, WebP or DICOM file.
        coding: The rule from pixel values to labels.
        image: The image, on whose stored grid a DICOM mask is laid; None: the mask as it is stored.

    Returns:
        (H, W) uint8 labels, 0 for the background. Where parts overlap, the first one counts.

    Raises:
        DataError: A file cannot be read, holds a value without a label, or parts differ in size; or a DICOM
            mask does not lie on the pixels of the image.
    """
    first, *others = mask_parts(Path(path))
    labels = _read_part(first, coding, image)
    for other in others:
        more = _read_part(other, coding, image)
        if more.shape != labels.shape:
            raise DataError(
                f"{first} and {other} belong to one image, but differ in size: {labels.shape[1]} x "
                f"{labels.shape[0]} and {more.shape[1]} x {more.shape[0]} pixels. Resize or remove one.",
                code="LEX-DATA-660",
            )
        labels = np.where(labels > 0, labels, more)
    return labels


def _read_part(path: Path, coding: MaskCoding, image: Path | None) -> npt.NDArray[np.uint8]:
    """Read one mask file as labels."""
    content = read_content(path)
    try:
        labels = coding.to_labels(decode_mask(content, path))
    except UnclearDepthError as error:
        raise unclear(path, error) from error
    except ValueError as error:
        raise DataError(
            f"{path} has pixels without a class: {error}. List all values in dataset.yaml under `classes`.",
            code="LEX-DATA-092",
        ) from error
    return labels if image is None else mask_turn(content, path, image).apply(labels)


def read_pair(sample: Sample, coding: MaskCoding) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return a sample's pixels `(H, W, 3)` uint8 and labels `(H, W)` uint8 on their own grid.

    Both are in the usual display of the image: those of a DICOM file that is stored mirrored or rotated are
    turned.

    Raises:
        DataError: A file cannot be read, or image and mask differ in size.
    """
    assert sample.mask is not None
    decoded, labels = read_image_with_facts(sample.image), read_labels(sample, coding)
    image = decoded.pixels
    if image.shape[:2] != labels.shape:
        raise DataError(
            f"{sample.mask} is {labels.shape[1]} x {labels.shape[0]} pixels, but its image {sample.image} is "
            f"{image.shape[1]} x {image.shape[0]}. `lexiseg data check` lists all such pairs. Resize "
            f"or remove them.",
            code="LEX-DATA-093",
        )
    return own_pixels(decoded.displayed), decoded.turn.apply(labels)


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (H, W) of an image file from its header.

    Raises:
        DataError: The file is missing or is not an image.
    """
    path = Path(path)
    header = decode_header(read_content(path), path)
    return header.height, header.width


def write_mask(path: str | Path, labels: npt.NDArray[np.uint8], *, num_classes: int = 2) -> None:
    """Write labels as a grey mask of a data set, atomically; see `save_mask`.

    Args:
        path: The file; its extension sets the format: .png, .tif, .bmp or .webp, all lossless.
        labels: (H, W) uint8 labels below `num_classes`.
        num_classes: Number of labels of the data set, background included (not of this mask).

    Raises:
        UsageError: The extension is not of a lossless format.
        DiskError: There is no space, or no permission.
    """
    path = Path(path)
    _lossless_options(path)
    with atomic_path(path, private=False) as beside:
        save_mask(beside, labels, num_classes=num_classes)


def save_mask(path: Path, labels: npt.NDArray[np.uint8], *, num_classes: int = 2) -> None:
    """Save labels as a grey mask to a file that is renamed afterwards.

    Two classes are written as 0 and 255, which every viewer shows; more classes are written as their labels.

    Args:
        path: The file; its extension sets the format: .png, .tif, .bmp or .webp, all lossless.
        labels: (H, W) uint8 labels below `num_classes`.
        num_classes: Number of labels of the data set, background included (not of this mask).

    Raises:
        UsageError: The extension is not of a lossless format.
    """
    if path.suffix.lower() == ".png":
        path.write_bytes(mask_content(labels, num_classes=num_classes))
    else:
        values = np.ascontiguousarray(_mask_values(labels, num_classes))
        Image.fromarray(values).save(path, **_lossless_options(path))


def mask_content(labels: npt.NDArray[np.uint8], *, num_classes: int = 2) -> bytes:
    """Return the PNG file of labels as a grey mask; see `save_mask`.

    Args:
        labels: (H, W) uint8 labels below `num_classes`.
        num_classes: Number of labels of the data set, background included (not of this mask).
    """
    return mask_png(_mask_values(labels, num_classes))


def _mask_values(labels: npt.NDArray[np.uint8], num_classes: int) -> npt.NDArray[np.uint8]:
    """Return the grey values (H, W) uint8 of labels."""
    assert labels.ndim == 2
    assert labels.max(initial=0) < num_classes
    return labels * np.uint8(255) if num_classes == 2 else labels


def _lossless_options(path: Path) -> dict[str, Any]:
    """Return the options with which the format of a mask file is lossless."""
    if path.suffix.lower() not in _LOSSLESS:
        raise UsageError(
            f"{path}: expected one of the lossless formats {', '.join(_LOSSLESS)} for a mask; got "
            f"{path.suffix!r}.",
            code="LEX-USE-013",
        )
    return _LOSSLESS[path.suffix.lower()]
