"""A folder as destination: the files of an image in STUDY/IMAGE, by their UIDs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lexiseg.clinic.dataset import read_dataset
from lexiseg.data.content import read_content
from lexiseg.errors import DataError, DiskError, LexisegError, UsageError
from lexiseg.file_hashes import file_sha256
from lexiseg.files import atomic_path
from lexiseg.gateway.configuration import FolderDestination
from lexiseg.gateway.destinations.destination import Parcel, Undelivered
from lexiseg.gateway.header import Header

_UID = re.compile(r"[0-9][0-9.]{0,63}")


class FolderClient:
    """Writes results to a folder, each file whole or not at all; a file that is there already stays.

    Args:
        settings: The folder.
    """

    def __init__(self, settings: FolderDestination) -> None:
        self._root = settings.path

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Undelivered | None]:
        """Write parcels; see `lexiseg.gateway.destinations.destination.DestinationClient`."""
        for parcel in parcels:
            try:
                self._write(parcel)
                yield None
            except (DiskError, UsageError) as error:
                yield Undelivered(error=error, final=False)
            except LexisegError as error:
                yield Undelivered(error=error, final=True)

    def _write(self, parcel: Parcel) -> None:
        header = Header.of(read_dataset(read_content(parcel.image), parcel.image))
        folder = self._root / _folder_name(header.study_uid) / _folder_name(header.sop_uid)
        with parcel.reading():
            files = sorted(parcel.results.iterdir())
        for file in files:
            place = folder / file.name
            if place.is_file():
                if file_sha256(place) == file_sha256(file):
                    continue
                raise DataError(
                    f"{place} exists with another content and is not replaced. Move it away, or choose "
                    "another folder for this destination.",
                    code="LEX-DATA-1240",
                )
            with atomic_path(place) as beside:
                shutil.copyfile(file, beside)


def holds_results(name: str) -> bool:
    """Return whether a folder of this name in a destination may hold the results of a study."""
    return _UID.fullmatch(name) is not None and ".." not in name


def _folder_name(uid: str) -> str:
    """Return a UID as the name of a folder.

    Raises:
        DataError: It is none, so it may name another place.
    """
    if not holds_results(uid):
        raise DataError(
            "The image has no valid StudyInstanceUID or SOPInstanceUID, which name the folder of its "
            "results. Export it from the archive.",
            code="LEX-DATA-1241",
        )
    return Path(uid).name
