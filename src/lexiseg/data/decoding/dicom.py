"""DICOM files as images: `lexiseg.clinic` reads them; here their values become 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.detection import require_dicom
from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decoding.container import pixel_limit
from lexiseg.data.decoding.stored_pixels import scale_to_8bit
from lexiseg.data.grey import three_channels
from lexiseg.errors import DataError

if TYPE_CHECKING:
    from lexiseg.clinic.image import DicomImage


def open_dicom_image(content: bytes, path: Path, view: View = AS_STORED) -> DicomImage:
    """Open a DICOM image; pydicom is imported here, when the first one is read.

    Raises:
        DataError: The file holds no image that can be read.
        UsageError: pydicom is not installed.
    """
    require_dicom(path)
    from lexiseg.clinic.image import open_dicom

    return open_dicom(content, path, view)


def dicom_pixels(image: DicomImage) -> npt.NDArray[np.uint8]:
    """Return a DICOM image as viewers show it, `(H, W, 3)` uint8 on the stored grid; black outside of it.

    Raises:
        DataError: It cannot be decoded, or holds no finite number.
    """
    rendering = image.render(pixel_limit=pixel_limit())
    values = rendering.values
    if values.ndim == 3:
        return np.asarray(values, dtype=np.uint8)
    if not np.isfinite(values).any():
        raise DataError(
            f"{image.path} holds no finite number (only NaN or infinite values). Export the image again.",
            code="LEX-DATA-959",
        )
    outside = np.isnan(values)
    grey = (
        np.asarray(np.rint(np.nan_to_num(values)), np.uint8) if rendering.is_scaled else scale_to_8bit(values)
    )
    if rendering.inverted:
        grey = np.bitwise_not(grey)
    grey = np.where(outside, np.uint8(0), grey)
    return three_channels(grey)


def dicom_mask_values(content: bytes, path: Path) -> npt.NDArray[np.integer]:
    """Return the values of a mask in a DICOM file: segment numbers of a segmentation, else the stored values.

    Returns:
        (H, W, 3) unsigned integers; the three channels of a grey mask are equal.

    Raises:
        DataError: The file is damaged, holds no pixels, or is no mask of a single image.
        UsageError: pydicom is not installed.
    """
    require_dicom(path)
    from lexiseg.clinic.dataset import damage_named, read_dataset, read_image_dataset
    from lexiseg.clinic.frame_pixels import decode_frame, frame_index
    from lexiseg.clinic.segmentation_mask import is_segmentation, segmentation_labels

    dataset = read_dataset(content, path)
    values: npt.NDArray[np.integer]
    with damage_named(path):
        if is_segmentation(dataset):
            values = segmentation_labels(dataset, path, pixel_limit=pixel_limit())
        else:
            dataset = read_image_dataset(content, path)
            values = decode_frame(dataset, path, frame_index(dataset, path, None), pixel_limit=pixel_limit())
    if values.dtype.kind != "u":
        if (values < 0).any() or values.dtype.kind == "f":
            raise DataError(
                f"{path} holds fractions or negative numbers; expected whole label values from 0 up.",
                code="LEX-DATA-963",
            )
        values = values.astype(np.uint32)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
