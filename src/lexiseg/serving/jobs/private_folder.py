"""The folder in which jobs keep images and results: only this user can read it, and nothing stays in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from lexiseg.errors import DiskError
from lexiseg.files import disk_errors
from lexiseg.outputs.folder_lock import FolderLock

_BEGINNING = "lexiseg-jobs-"
_LOCK = ".lock"
_OWNER_ONLY = 0o600


class PrivateFolder:
    """A folder of this server in the temporary folder of the system.

    It is made when it is first needed, and again where a program that cleans the temporary folder has removed
    it. Folders of servers that were killed are removed then: they hold images of patients that nobody asks
    for any more.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock: FolderLock | None = None

    def new(self, name: str) -> Path:
        """Make a folder in it.

        Raises:
            DiskError: There is no space or no permission.
        """
        folder = self._opened() / name
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

    def _opened(self) -> Path:
        if self._path is not None and not self._path.is_dir():
            self.remove()
        if self._path is None:
            _remove_abandoned()
            with disk_errors(Path(tempfile.gettempdir())):
                self._path = Path(tempfile.mkdtemp(prefix=_BEGINNING))
            self._lock = FolderLock(self._path / _LOCK)
            self._lock.take()
        return self._path


def open_private(path: Path) -> BinaryIO:
    """Open a new file that only this user can read.

    Raises:
        DiskError: There is no space or no permission.
    """
    with disk_errors(path):
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb")


def _remove_abandoned() -> None:
    """Remove the folders of servers of this user that are not running any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_BEGINNING}*"):
        with contextlib.suppress(OSError, DiskError):
            lock = FolderLock(folder / _LOCK)
            # A folder without a lock file is one that another server has just made.
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
