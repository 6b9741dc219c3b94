"""DICOM files for tests: made by pydicom from arrays, and those of pydicom and pydicom-data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import data_store
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

_SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
_MORE = Path(data_store.__file__).parent / "data"

SOP_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "ES": "1.2.840.10008.5.1.4.1.1.77.1.1",
}


def shipped(name: str) -> Path:
    """Return a file of pydicom or of pydicom-data."""
    return _SHIPPED / name if (_SHIPPED / name).exists() else _MORE / name


def dicom_dataset(
    pixels: npt.NDArray[Any],
    *,
    modality: str = "CR",
    photometric: str = "MONOCHROME2",
    bits: int | None = None,
    number: int = 1,
    **values: Any,
) -> Dataset:
    """Return an image as a data set with everything that an archive demands; a value of None leaves it out.

    Args:
        pixels: `(H, W)` or `(H, W, 3)`, as stored.
        modality: One of `SOP_CLASSES`.
        photometric: Photometric interpretation.
        bits: Bits that are stored of each value; by default all.
        number: Part of the UID of the instance.
        **values: More attributes, by keyword.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    standard: dict[str, Any] = {
        "SOPClassUID": SOP_CLASSES[modality],
        "SOPInstanceUID": f"2.25.1000{number}",
        "StudyInstanceUID": "2.25.1",
        "SeriesInstanceUID": "2.25.2",
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        "Modality": modality,
        "PatientID": "test",
        "PatientName": "Test^Phantom",
        "PatientBirthDate": "",
        "PatientSex": "",
        "StudyDate": "20260102",
        "StudyTime": "030405",
        "ContentDate": "20260102",
        "ContentTime": "030406",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "Manufacturer": "Lexiseg tests",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
    }
    for keyword, value in {**standard, **values}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.set_pixel_data(
        pixels, photometric, bits or pixels.dtype.itemsize * 8, generate_instance_uid=False
    )
    return dataset


def dicom_file(path: Path, pixels: npt.NDArray[Any], **values: Any) -> Path:
    """Write an image as a DICOM file; see `dicom_dataset`."""
    dicom_dataset(pixels, **values).save_as(path, enforce_file_format=True)
    return path


def ramp(rows: int = 4, columns: int = 4, dtype: Any = np.uint16, step: int = 100) -> npt.NDArray[Any]:
    """Return rising values, `step` apart."""
    return (np.arange(rows * columns) * step).reshape(rows, columns).astype(dtype)
