"""Writing files so that a half-written one never looks whole: write beside, then rename."""

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

from lexiseg.errors import DiskError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on any error it is removed.

    Args:
        path: The file to write. Its folder is created if needed.

    Yields:
        A path with the same suffix, in the same folder, to write to.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
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
        # mkstemp makes files private to the user; outputs follow the process's umask like any other file.
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
    """Yield a temporary folder beside `path`; on success it becomes `path`, on any error it is removed.

    Args:
        path: The folder to make; it may exist if it is empty.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".partial-"))
        try:
            try:
                yield beside
            except DiskError as error:  # the folder that was asked for says more than the one beside it
                raise DiskError(str(error).replace(str(beside), str(path))) from error
            # mkdtemp makes folders private to the user; outputs follow the umask like any other.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(beside, 0o777 & ~umask)
            os.replace(beside, path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turn a full or read-only disk, met while writing `path`, into a `DiskError`."""
    try:
        yield
    except OSError as error:
        raise _disk_error(Path(path), error) from error


def _disk_error(path: Path, error: OSError) -> Exception:
    """Return a `DiskError` for a full or read-only disk, and any other `OSError` as it is."""
    if error.errno in _NO_SPACE:
        return DiskError(
            f"No space left on the disk while writing {path}. Free some space and run the command again."
        )
    if error.errno in _NO_PERMISSION:
        return DiskError(f"No permission to write {path}. Choose a folder you may write to.")
    return error


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content`, whole or not at all."""
    with atomic_path(path) as beside:
        beside.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
