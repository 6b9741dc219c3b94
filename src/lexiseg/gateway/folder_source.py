"""A folder as source: files that other programs put there are taken and removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.detection import is_dicom
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import FolderSource
from lexiseg.gateway.intake import NO_ROOM, Intake
from lexiseg.gateway.routing import Header
from lexiseg.gateway.state import GatewayState


class FolderReader:
    """Takes the files of a folder.

    Args:
        state: The shared parts of the gateway.
        name: Name of the source.
        settings: The folder.
        intake: Takes its images.
    """

    def __init__(self, state: GatewayState, name: str, settings: FolderSource, intake: Intake) -> None:
        self._state, self._name, self._settings, self._intake = state, name, settings, intake
        self._seen: dict[Path, tuple[int, int, float]] = {}
        self._unreadable: set[Path] = set()

    def step(self) -> bool:
        """Take the files that do not change any more; return whether there were any."""
        taken = False
        files = list(self._files())
        self._unreadable &= set(files)
        settled = [file for file in files if self._is_settled(file)]
        self._seen = {file: seen for file, seen in self._seen.items() if file in set(files)}
        for file in settled:
            if self._state.full() is not None:
                break
            taken |= self._take(file)
        return taken

    def _files(self) -> Iterator[Path]:
        """Yield the files, without hidden ones and links: a link may point outside of the folder."""
        for file in sorted(self._settings.path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(self._settings.path).parts)
            if not hidden and not file.is_symlink() and file.is_file():
                yield file

    def _is_settled(self, file: Path) -> bool:
        """Return whether a file has not changed for a while, so its program has written all of it."""
        try:
            status = file.stat()
        except OSError:
            return False  # its program removed or renamed it
        now = time.monotonic()
        size, changed, since = self._seen.get(file, (-1, -1, now))
        if (size, changed) != (status.st_size, status.st_mtime_ns):
            since = now
        self._seen[file] = (status.st_size, status.st_mtime_ns, since)
        return now - since >= self._settings.settle_s

    def _take(self, file: Path) -> bool:
        try:
            content = self._read(file)
        except (OSError, DataError) as error:
            if file not in self._unreadable:
                self._unreadable.add(file)
                code = error.code if isinstance(error, DataError) else None
                self._state.log.write(
                    "unreadable", level="warning", source=self._name, code=code, error=type(error).__name__
                )
            return False
        try:
            self._intake.take(content, source=self._name, sop_uid=_sop_uid(content, file))
        except NO_ROOM as error:
            self._state.log.write("put_off", level="warning", source=self._name, error=type(error).__name__)
            return False
        # Only now: until here, a kill leaves the file where it is.
        file.unlink(missing_ok=True)
        self._seen.pop(file, None)
        return True

    def _read(self, file: Path) -> bytes:
        most = self._state.configuration.limits.largest_image_mb
        if file.stat().st_size > most * 1e6:
            raise DataError(
                f"{file} is larger than {most:g} MB (limits.largest_image_mb) and is not read.",
                code="LEX-DATA-1237",
            )
        return file.read_bytes()


def _sop_uid(content: bytes, file: Path) -> str:
    """Return the SOP instance UID of a file; empty for one that is not DICOM or is damaged."""
    if not is_dicom(content):
        return ""
    try:
        return Header.of(read_dataset(content, file)).sop_uid
    except DataError:
        # Its reason is stated when it is predicted.
        return ""
