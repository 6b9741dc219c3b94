"""A temporary folder for images of patients: only this user can read it, and nothing stays in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from lexiseg.errors import DiskError
from lexiseg.files import disk_errors
from lexiseg.outputs.folder_lock import FolderLock

_BEGINNING = "lexiseg-"
_LOCK = ".lock"


class PrivateFolder:
    """A folder of this process in the temporary folder of the system.

    It is made when it is first needed, and again where a program that cleans the temporary folder has removed
    it. Folders of processes that were killed are removed then: they hold images of patients that nobody asks
    for any more. As a context manager, it removes the folder in the end.

    Args:
        purpose: What it is for, as a part of its name: a word of small letters.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._path: Path | None = None
        self._lock: FolderLock | None = None

    def __enter__(self) -> PrivateFolder:
        """Return it; the folder is made when it is first needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder with everything in it."""
        self.remove()

    @property
    def path(self) -> Path:
        """The folder, which exists; names that begin with a dot are not for others.

        Raises:
            DiskError: There is no space or no permission.
        """
        if self._path is not None and not self._path.is_dir():
            self.remove()
        if self._path is None:
            _remove_abandoned()
            self._path, self._lock = self._made()
        return self._path

    def new(self, name: str) -> Path:
        """Make a folder in it.

        Raises:
            DiskError: There is no space or no permission.
        """
        folder = self.path / name
        with disk_errors(folder):
            folder.mkdir(mode=0o700)
        return folder

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        if self._path is None or self._lock is None:
            return
        self._lock.release()
        shutil.rmtree(self._path, ignore_errors=True)
        self._path = self._lock = None

    def _made(self) -> tuple[Path, FolderLock]:
        """Make a folder, and take its lock."""
        while True:
            with disk_errors(Path(tempfile.gettempdir())):
                path = Path(tempfile.mkdtemp(prefix=f"{_BEGINNING}{self._purpose}-"))
            lock = FolderLock(path / _LOCK)
            if lock.take() is None:
                return path, lock
            # Another process took it for an abandoned one between the making of the lock file and its taking.


def _remove_abandoned() -> None:
    """Remove the folders of processes of this user that are not running any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_BEGINNING}*"):
        with contextlib.suppress(OSError, DiskError):
            lock = FolderLock(folder / _LOCK)
            # A folder without a lock file is one that another process has just made.
            if not _is_private(folder) or not lock.file.exists() or lock.take() is not None:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def _is_private(folder: Path) -> bool:
    """Return whether a folder is this user's alone.

    In a folder of another user, the lock file could be a link to a file of this user, which taking the lock
    would overwrite.
    """
    found = folder.lstat()
    if sys.platform == "win32":  # each user has a temporary folder of their own
        return stat.S_ISDIR(found.st_mode)
    is_ours = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(found.st_mode) and is_ours
