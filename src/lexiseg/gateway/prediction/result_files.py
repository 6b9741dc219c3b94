"""The files of the results of an image, which lie in one folder and are named after their format."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.formats.output_format import Format
from lexiseg.inference.formats.registry import FORMATS


def result_file_name(known: Format) -> str:
    """Return the name of the file of a format, such as "seg.dcm"."""
    return f"{known.name}{known.suffix}"


def dicom_objects(folder: Path) -> list[Path]:
    """Return the DICOM objects in the folder of an image: segmentations first, as reports refer to them."""
    formats = {result_file_name(known): known.content for known in FORMATS if known.is_dicom}
    found = [file for file in folder.glob("*") if file.name in formats]
    return sorted(found, key=lambda file: (formats[file.name], file.name))
