"""The index of a disc with DICOM files (DICOMDIR, PS3.10 8): the folder that it describes."""

from __future__ import annotations

from pathlib import Path

from lexiseg.clinic.dataset import BROKEN, read_dataset
from lexiseg.data.content import read_content
from lexiseg.errors import DataError

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def missing_of_disc(index: Path) -> tuple[str, ...]:
    """Return the files that an index names and that are not there.

    Args:
        index: The DICOMDIR.

    Raises:
        DataError: The file is no index, is damaged, or names a file outside of its folder.
    """
    dataset = read_dataset(read_content(index), index)
    kind = str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    try:
        records = list(dataset.get("DirectoryRecordSequence") or [])
        names = [record.get("ReferencedFileID") for record in records]
        parts = [[name] if isinstance(name, str) else list(name) for name in names if name]
    except BROKEN as error:
        raise DataError(
            f"{index} is a damaged index (DICOMDIR): {error}. Give the folder that holds its images.",
            code="LEX-DATA-1210",
        ) from error
    if kind != _MEDIA_DIRECTORY or not parts:
        raise DataError(
            f"{index} is no index of a disc (DICOMDIR) that names files. Give the folder that holds the "
            "images.",
            code="LEX-DATA-1211",
        )
    for part in parts:
        if any(
            name in ("", ".", "..") or "/" in name or "\\" in name or ":" in name for name in map(str, part)
        ):
            raise DataError(
                f"{index} names {'/'.join(map(str, part))!r}, a file outside of its folder. Give the folder "
                "that holds the images.",
                code="LEX-DATA-1212",
            )
    return tuple("/".join(map(str, part)) for part in parts if not index.parent.joinpath(*part).is_file())
