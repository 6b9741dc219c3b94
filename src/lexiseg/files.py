"""Atomic writing: a file is written under a temporary name and then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lexiseg.errors import DiskError, LexisegError, UsageError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` on success and is removed on any error.

    Args:
        path: The file to write. Its folder is created if needed.

    Yields:
        A path with the same suffix, in the same folder, to write to.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
        UsageError: A file is in the place of the folder, or a folder in the place of the file.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise _disk_error(path, error) from error
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files private to the user; outputs follow the process's umask like other files.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise _disk_error(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it becomes `path` on success and is removed on any error.

    Args:
        path: The folder to create; it may exist if it is empty.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
        UsageError: A file is in the place of one of its parents.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".partial-"))
        try:
            try:
                yield beside
            except DiskError as error:  # name the requested folder, not the temporary one
                raise DiskError(str(error).replace(str(beside), str(path)), code="LEX-DISK-001") from error
            # mkdtemp makes folders private to the user; outputs follow the umask like other folders.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(beside, 0o777 & ~umask)
            os.replace(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn errors of writing `path` into errors meant for the user.

    Raises:
        DiskError: The disk is full or read-only.
        UsageError: A file is in the place of a folder, or a folder in the place of a file.
    """
    try:
        yield
    except OSError as error:
        raise _disk_error(Path(path), error) from error


def refuse_blocked(folder: str | Path) -> None:
    """Refuse a folder that cannot be created, before the work whose result it will hold.

    Raises:
        UsageError: It is a file, or one of its parents is.
    """
    blocked = _blocked(Path(folder))
    if blocked is not None:
        raise blocked


def _blocked(folder: Path) -> UsageError | None:
    """Return the error for a folder in whose place a file is; None if there is none."""
    file = next((place for place in (folder, *folder.parents) if place.is_file()), None)
    if file is None:
        return None
    return UsageError(
        f"The folder {folder} cannot be created: {file} is a file. Choose another folder.", code="LEX-USE-001"
    )


def _disk_error(path: Path, error: OSError) -> OSError | LexisegError:
    """Return the error for a full disk, missing permission or a name in use; any other error unchanged."""
    if error.errno in _NO_SPACE:
        return DiskError(
            f"No space left on the disk while writing {path}. Free some space and run the command again.",
            code="LEX-DISK-002",
        )
    if error.errno in _NO_PERMISSION:
        return DiskError(
            f"No permission to write {path}. Choose a folder you may write to.", code="LEX-DISK-003"
        )
    if error.errno in _IN_THE_WAY:
        is_about = str(path) in (error.filename, error.filename2)
        if is_about and path.is_dir():
            return UsageError(
                f"The file {path} cannot be written: a folder of that name exists.", code="LEX-USE-002"
            )
        # A file of the same name is a problem for a folder only.
        return _blocked(path if is_about else path.parent) or error
    return error


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content`, atomically."""
    with atomic_path(path) as beside:
        beside.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
