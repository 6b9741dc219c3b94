"""A lock on a folder: one process at a time writes to it.

The operating system holds the lock (package filelock) and releases it when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from lexiseg.errors import LexisegError
from lexiseg.files import disk_errors, file_mode, fitting_name, make_folder
from lexiseg.structured_text import parse_json

_SUFFIX = ".lock"

# Descriptors of held locks. A child process shares them, and would keep a lock after the death of its parent.
_held: set[int] = set()


def _close_in_child() -> None:
    while _held:
        with contextlib.suppress(OSError):
            os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


class FolderLock:
    """A lock file that this process holds while it writes to a folder.

    Args:
        file: The lock file, which exists while the lock is held and after its holder was killed. Its folder
            is created if needed.

    Attributes:
        supported: Whether the disk supports locks; without, nothing is refused. Known once it is taken.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.supported = True
        self._descriptor: int | None = None
        self._created: list[Path] = []

    @classmethod
    def beside(cls, folder: Path) -> FolderLock:
        """Return the lock of a folder that appears as a whole; its file `.NAME.lock` is beside it."""
        place = folder.absolute()
        return cls(place.parent / f".{fitting_name(place.name, room=1 + len(_SUFFIX))}{_SUFFIX}")

    def take(self) -> str | None:
        """Take the lock.

        Returns:
            None if this process holds it now, otherwise who holds it, as text for a person.

        Raises:
            DiskError: There is no space or no permission.
            UsageError: A file is in the place of the folder.
        """
        with disk_errors(self.file.parent):
            self._created = make_folder(self.file.parent)
        while True:
            with disk_errors(self.file):
                descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, file_mode())
            try:
                is_free = filelock.lock_descriptor(descriptor, blocking=False)
            except OSError:  # such as a network disk without locks
                self.supported, is_free = False, True
            if is_free and self._is_at(descriptor):
                self._descriptor = descriptor
                _held.add(descriptor)
                try:
                    self._name_holder(descriptor)
                except BaseException:
                    self.release()
                    raise
                return None
            holder = None if is_free else _holder(descriptor)
            os.close(descriptor)
            if holder is not None:
                return holder
            # Its holder removed the file before this process locked it: there may be a new one.

    def release(self) -> None:
        """Remove the lock file, and the folders that `take` created if they are empty."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(descriptor)
        is_ours = self._is_at(descriptor)  # not where a person removed the folder and made it again
        # Removed while it is locked, so that no other process locks a file without a name. Windows removes
        # no open file.
        if sys.platform == "win32":
            os.close(descriptor)
        if is_ours:
            with contextlib.suppress(OSError):
                self.file.unlink()
        if sys.platform != "win32":
            os.close(descriptor)
        for folder in reversed(self._created):
            with contextlib.suppress(OSError):
                folder.rmdir()

    @contextlib.contextmanager
    def hold(self, refusal: Callable[[str], LexisegError]) -> Iterator[None]:
        """Hold the lock meanwhile.

        Args:
            refusal: Returns the error where another process holds it, from who that is.

        Raises:
            LexisegError: The error of `refusal`.
            DiskError: There is no space or no permission.
            UsageError: A file is in the place of the folder.
        """
        holder = self.take()
        if holder is not None:
            raise refusal(holder)
        try:
            yield
        finally:
            self.release()

    def _is_at(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.file.stat())
        except OSError:
            return False

    def _name_holder(self, descriptor: int) -> None:
        """Write which process this is, for the message to others."""
        about = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode("ascii")
        with disk_errors(self.file):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, about)


def _holder(descriptor: int) -> str:
    """Return who holds a lock; a process that has only just taken it has not written its name yet."""
    try:
        about = parse_json(os.read(descriptor, 1000))
        return f"process {int(about['pid'])} on {about['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
