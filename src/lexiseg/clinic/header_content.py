"""Headers of DICOM files as bytes, for a process that writes objects of files which another one reads."""

from __future__ import annotations

import copy
import io
from pathlib import Path

from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileDataset

from lexiseg.clinic.dataset import BROKEN, damage_named
from lexiseg.clinic.source_header import PIXELS
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: Most bytes of a header: enough for the places of a hundred thousand frames.
LARGEST_HEADER = 1 << 26


def header_content(dataset: Dataset, path: Path) -> bytes:
    """Return the elements of a file without pixels and private elements, as the bytes of a DICOM file.

    Elements that cannot be decoded or written are left out; no object can repeat them.

    Args:
        dataset: The file, with or without pixels.
        path: Its name, for messages.

    Raises:
        DataError: The header is larger than `LARGEST_HEADER`.
    """
    header = FileDataset("", {}, preamble=bytes(128), file_meta=copy.copy(dataset.file_meta))
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except BROKEN:
            continue
        if element.keyword not in PIXELS and not element.tag.is_private:
            header.add(element)
    # The order of bytes stays: values of words, such as those of a table, are written as they are.
    if header.file_meta.TransferSyntaxUID == uid.DeflatedExplicitVRLittleEndian:
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    try:
        written = _written(header)
    except BROKEN:
        for tag in list(header.keys()):
            if not _is_writable(header, tag):
                del header[tag]
        with damage_named(path):
            written = _written(header)
    if len(written) > LARGEST_HEADER:
        raise DataError(
            f"The header of {path} has {counted(len(written), 'byte')}; at most {LARGEST_HEADER:,} are read. "
            "Nothing is written of it. Export it from the archive.",
            code="LEX-DATA-1670",
        )
    return written


def _written(header: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, header, enforce_file_format=False)
    return buffer.getvalue()


def _is_writable(header: Dataset, tag: int) -> bool:
    """Return whether an element can be written, in the character set of its file."""
    single = FileDataset("", {}, preamble=bytes(128), file_meta=header.file_meta)
    for wanted in ("SpecificCharacterSet", "PixelRepresentation", tag):
        if wanted in header:
            single.add(header[wanted])
    try:
        _written(single)
    except BROKEN:
        return False
    return True
