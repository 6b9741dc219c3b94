"""A folder as source: files that other programs put there are taken and removed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.detection import is_dicom
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import FolderSource
from lexiseg.gateway.header import Header
from lexiseg.gateway.sources.intake import NO_ROOM, Intake
from lexiseg.gateway.sources.unreadable import UnreadableSourceError
from lexiseg.gateway.state import GatewayState


class _Status(NamedTuple):
    """What shows that a file is another one, or that its program has written more of it."""

    size: int
    changed: int
    number: int

    @classmethod
    def of(cls, file: Path) -> _Status:
        """Return the status of a file, or of a link that is in its place."""
        status = file.lstat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class FolderReader:
    """Takes the files of a folder.

    A file is removed only if it is the one that was read, as it was read: its program may write it again, or
    put another one in its place, at any time.

    Args:
        state: The shared parts of the gateway.
        name: Name of the source.
        settings: The folder.
        intake: Takes its images.
    """

    def __init__(self, state: GatewayState, name: str, settings: FolderSource, intake: Intake) -> None:
        self._state, self._name, self._settings, self._intake = state, name, settings, intake
        # Status of each file, and since when it has not changed.
        self._seen: dict[Path, tuple[_Status, float]] = {}
        # What the log says already: events of files, and folders that cannot be read.
        self._reported: set[tuple[Path, str]] = set()
        self._locked: set[Path] = set()
        # Status of the files that were taken and could not be removed.
        self._taken: dict[Path, _Status] = {}

    def step(self) -> bool:
        """Take the files that do not change any more; return whether there were any.

        Raises:
            UnreadableSourceError: The folder cannot be read.
        """
        taken = False
        files = self._files()
        settled = [file for file in files if self._is_settled(file)]
        self._forget_gone(set(files))
        for file in settled:
            if self._state.full() is not None:
                break
            taken |= self._take(file)
        return taken

    def _files(self) -> list[Path]:
        """Return the files, without hidden ones and links: a link may point outside of the folder.

        Raises:
            UnreadableSourceError: The folder cannot be read.
        """
        try:
            os.scandir(self._settings.path).close()  # `os.walk` leaves out what it cannot read
        except OSError as error:
            raise UnreadableSourceError(type(error).__name__) from error
        found: list[Path] = []
        locked: dict[Path, OSError] = {}
        for place, folders, names in os.walk(
            self._settings.path, onerror=lambda error: locked.update({Path(error.filename): error})
        ):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in (Path(place, name) for name in names if not name.startswith(".")):
                try:
                    if not file.is_symlink() and file.is_file():
                        found.append(file)
                except OSError as error:
                    locked[file.parent] = error
        for folder in locked.keys() - self._locked:
            if not isinstance(locked[folder], FileNotFoundError):  # its program removed it
                self._write("unreadable", locked[folder])
        self._locked = set(locked)
        return sorted(found)

    def _report(self, file: Path, event: str, error: Exception) -> None:
        """Write an event about a file, once as long as it is there."""
        if (file, event) not in self._reported:
            self._reported.add((file, event))
            self._write(event, error)

    def _write(self, event: str, error: Exception) -> None:
        code = error.code if isinstance(error, DataError) else None
        self._state.log.write(
            event, level="warning", source=self._name, code=code, error=type(error).__name__
        )

    def _forget_gone(self, files: set[Path]) -> None:
        """Forget what is known of files that are gone: one of the same name is a new one."""
        self._seen = {file: seen for file, seen in self._seen.items() if file in files}
        self._taken = {file: status for file, status in self._taken.items() if file in files}
        self._reported = {(file, event) for file, event in self._reported if file in files}

    def _is_settled(self, file: Path) -> bool:
        """Return whether a file has not changed for a while, so its program has written all of it."""
        try:
            status = _Status.of(file)
        except OSError:
            return False  # its program removed or renamed it
        now = time.monotonic()
        seen, since = self._seen.get(file, (status, now))
        if seen != status:
            since = now
        self._seen[file] = (status, since)
        return now - since >= self._settings.settle_s

    def _take(self, file: Path) -> bool:
        status, _ = self._seen[file]
        if self._taken.get(file) == status:
            self._remove(file, status)  # another program may have held it open
            return False
        try:
            if not _is_still(file, status):
                return False  # the files before it took a while to store
            content = self._read(file)
            if not _is_still(file, status):
                return False
        except (OSError, DataError) as error:
            self._report(file, "unreadable", error)
            return False
        try:
            self._intake.take(content, source=self._name, sop_uid=_sop_uid(content, file))
        except NO_ROOM as error:
            self._state.log.write("put_off", level="warning", source=self._name, error=type(error).__name__)
            return False
        self._taken[file] = status
        # Only now: until here, a kill leaves the file where it is.
        self._remove(file, status)
        return True

    def _remove(self, file: Path, status: _Status) -> None:
        """Remove a file that was taken; one that cannot be removed is not taken again.

        A file that is another one meanwhile, or has changed, stays and is looked at in the next pass.
        """
        try:
            if not _is_still(file, status):
                return
            file.unlink(missing_ok=True)
        except OSError as error:
            self._report(file, "not_removed", error)
            return
        self._seen.pop(file, None)
        self._taken.pop(file, None)
        self._reported -= {(file, "unreadable"), (file, "not_removed")}

    def _read(self, file: Path) -> bytes:
        most = self._state.configuration.limits.largest_image_mb
        if file.stat().st_size > most * 1e6:
            raise DataError(
                f"{file} is larger than {most:g} MB (limits.largest_image_mb) and is not read.",
                code="LEX-DATA-1237",
            )
        return file.read_bytes()


def _is_still(file: Path, status: _Status) -> bool:
    """Return whether a file is there, is the same one and has not changed."""
    try:
        return _Status.of(file) == status
    except FileNotFoundError:
        return False  # its program removed or renamed it


def _sop_uid(content: bytes, file: Path) -> str:
    """Return the SOP instance UID of a file; empty for one that is not DICOM or is damaged."""
    if not is_dicom(content):
        return ""
    try:
        return Header.of(read_dataset(content, file)).sop_uid
    except DataError:
        # Its reason is stated when it is predicted.
        return ""
