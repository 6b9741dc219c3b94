"""Atomic writing: a file is written under a temporary name and then renamed.

Files and folders that Lexiseg makes are private: only their owner can read them, as they may show patients or
hold their names. `share_files` gives them the modes that the umask allows, as for other programs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from lexiseg.errors import DiskError, LexisegError, UsageError, rebuild_error
from lexiseg.file_access import copy_access
from lexiseg.open_files import NO_HANDLE_CODE, too_many_open
from lexiseg.printable import printable_json

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}

#: What the system says of a place where no folder can be made: a device, a link to nothing, /proc.
_NO_PLACE = _IN_THE_WAY | {errno.ENOENT, errno.ELOOP, errno.EINVAL}

#: How the temporary name of a file begins, and how it ends before the suffix (the random part of `tempfile`).
TEMPORARY_PREFIX = ".partial-"
_RANDOM = "[a-z0-9_]{8}"

#: Longest name of a file, in bytes, on the usual disks.
_LONGEST_NAME = 255
#: Digits of the hash in a shortened name.
_HASH_DIGITS = 10

# Whether private files follow the umask instead; like the umask, it counts for the whole process.
_shared = False
_one_umask = Lock()


def share_files(shared: bool) -> None:
    """Choose whether others may read the files and folders that this process makes.

    Args:
        shared: True: files and folders get the modes that the umask allows. False, as at the start of a
            process: files get the mode 0600 and folders 0700. Modes of existing folders stay. On Windows it
            has no effect.
    """
    global _shared
    _shared = shared


def file_mode(*, private: bool = True) -> int:
    """Return the mode of a new file: 0600 where it is private, else what the umask allows of 0666."""
    return 0o600 if private and not _shared else 0o666 & ~_umask()


def make_folder(path: str | Path, *, private: bool = True) -> list[Path]:
    """Create a folder and its missing parents; existing folders stay as they are.

    Args:
        path: The folder.
        private: Whether it may hold images or names of patients; see `share_files`.

    Returns:
        The folders that were created, outermost first.

    Raises:
        OSError: There is no space or no permission; `disk_errors` turns this into an error for the user.
        UsageError: Another thing than a folder is in its place or above it, or this place holds no folders.
    """
    path = Path(path)
    if os.path.isdir(path):
        return []
    mode = 0o700 if private and not _shared else 0o777
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    created = []
    for folder in reversed(missing):
        try:
            with _one_umask:
                folder.mkdir(mode=mode)
        except OSError as error:
            if not folder.is_dir():
                raise _folder_error(path, error) from error
        else:
            created.append(folder)
    # Another thread may have made it since the first look.
    if not missing and not path.is_dir():
        raise _folder_error(path, FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)))
    return created


def private_opener(path: str, flags: int) -> int:
    """Open a file that is private if it is new; the `opener` of `open` for files that grow line by line."""
    return os.open(path, flags, file_mode())


def fitting_name(name: str, *, room: int = 0) -> str:
    """Return a name that a disk can store, shortened where it is too long.

    A shortened name is the beginning of the name, a hyphen, and ten digits of the SHA-256 of the whole name,
    so it is the same each time and differs from that of other names.

    Args:
        name: Name of a file or folder, without folders.
        room: Bytes that are added to it, such as those of a suffix.
    """
    whole = os.fsencode(name)
    if len(whole) + room <= _LONGEST_NAME:
        return name
    kept = whole[: _LONGEST_NAME - room - 1 - _HASH_DIGITS].decode("utf-8", errors="ignore")
    return f"{kept}-{hashlib.sha256(whole).hexdigest()[:_HASH_DIGITS]}"


def _umask() -> int:
    # Reading it changes it for a moment: a second thread would leave it so, or make a folder with it.
    with _one_umask:
        umask = os.umask(0)
        os.umask(umask)
    return umask


@contextlib.contextmanager
def atomic_path(path: str | Path, *, private: bool = True, keeps_access: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` on success and is removed on any error.

    Args:
        path: The file to write. Its folder is created if needed.
        private: Whether it may hold images or names of patients; see `share_files`.
        keeps_access: Whether a file that is there keeps its owner, group and mode.

    Yields:
        A path with the same suffix, in the same folder, to write to.

    Raises:
        DiskError: The disk is full, the folder cannot be written to, or this user cannot keep the owner.
        UsageError: A file is in the place of the folder, or a folder in the place of the file.
    """
    path = Path(path)
    handle, beside = _file_beside(path, private=private)
    os.close(handle)
    with _becoming(path, beside):
        yield beside
        kept = path if keeps_access and path.exists() else None
        with open(
            beside, "r+b"
        ) as written:  # Windows waits for the disk only where a file is open for writing
            _settle(written.fileno(), beside, private=private, kept=kept)


def _file_beside(path: Path, *, private: bool) -> tuple[int, Path]:
    """Make an empty temporary file beside `path`, and its folder if needed.

    Returns:
        Its descriptor, open for writing, and its path.
    """
    with disk_errors(path):
        make_folder(path.parent, private=private)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX, suffix=path.suffix)
    return handle, Path(name)


@contextlib.contextmanager
def _becoming(path: Path, beside: Path) -> Iterator[None]:
    """Rename a temporary file to `path` at the end; remove it on any error."""
    try:
        with disk_errors(path):
            yield
            os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _settle(handle: int, beside: Path, *, private: bool, kept: Path | None = None) -> None:
    """Give a written file its mode, or the access of a kept file, and wait until the disk holds it."""
    # After writing, as some libraries replace the file that they are given.
    mode = file_mode(private=private)
    if kept is not None:
        copy_access(kept, beside)
    elif stat.S_IMODE(os.fstat(handle).st_mode) != mode:
        os.chmod(beside, mode)
    os.fsync(handle)


@contextlib.contextmanager
def temporary_folder(path: str | Path, *, private: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which is removed at the end.

    `remove_leftover_folders` removes that of a process that was killed.

    Args:
        path: The folder beside which it is made; its parent is made if needed.
        private: Whether it may hold images or names of patients; see `share_files`.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
        UsageError: A file is in the place of one of its parents.
    """
    path = Path(path)
    with disk_errors(path):
        make_folder(path.parent, private=private)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=_temporary_name(path)))
    try:
        yield beside
    except DiskError as error:  # name the requested folder, not the temporary one
        message = str(error).replace(str(beside), str(path))
        if error.code == NO_HANDLE_CODE:  # no fault of the disk, so it keeps its code
            raise rebuild_error(DiskError, message, error.code) from error
        raise DiskError(message, code="LEX-DISK-001") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, private: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it becomes `path` on success and is removed on any error.

    Args:
        path: The folder to create; it may exist if it is empty.
        private: Whether it may hold images or names of patients; see `share_files`.

    Raises:
        DiskError: The disk is full, or the folder cannot be written to.
        UsageError: A file is in the place of one of its parents, or another process made the folder
            meanwhile.
    """
    path = Path(path)
    with disk_errors(path), temporary_folder(path, private=private) as beside:
        yield beside
        if not private or _shared:
            os.chmod(beside, 0o777 & ~_umask())
        _become(beside, path)


def _become(beside: Path, path: Path) -> None:
    """Rename a temporary folder to its final name."""
    try:
        os.replace(beside, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UsageError(
            f"{path} was made by another process in the meantime and is not empty. Choose another --out.",
            code="LEX-USE-741",
        ) from error


def _temporary_name(path: Path) -> str:
    """Return how the temporary name of a folder begins."""
    return f"{TEMPORARY_PREFIX}{fitting_name(path.name, room=len(TEMPORARY_PREFIX) + 9)}-"


def remove_leftovers(folder: Path, *, recursive: bool = False) -> None:
    """Remove the temporary files that a killed process left in a folder.

    Only the process that holds the folder's lock may call this: the files of a running process look the same.

    Args:
        folder: The folder; it may be missing.
        recursive: Whether to look in its subfolders too.
    """
    pattern = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}{_RANDOM}(\.\w+)?")
    for file in (folder.rglob if recursive else folder.glob)(f"{TEMPORARY_PREFIX}*"):
        if pattern.fullmatch(file.name) and file.is_file() and not file.is_symlink():
            file.unlink(missing_ok=True)


def remove_leftover_folders(path: Path) -> None:
    """Remove the temporary folders that a killed process left while it made the folder `path`.

    Only the process that holds the lock on `path` may call this.
    """
    pattern = re.compile(re.escape(_temporary_name(path)) + _RANDOM)
    if path.parent.is_dir():
        for folder in path.parent.glob(f"{TEMPORARY_PREFIX}*"):
            if pattern.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)


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
        raise disk_error(Path(path), error) from error


def refuse_blocked(folder: str | Path) -> None:
    """Refuse a folder that cannot be created, before the work whose result it will hold.

    Raises:
        UsageError: It is a file, another thing that is no folder, or a link to nothing; or one of its
            parents is.
    """
    blocked = _blocked(Path(folder))
    if blocked is not None:
        raise blocked


def _blocked(folder: Path) -> UsageError | None:
    """Return the error for a folder in whose place another thing is; None if there is none."""
    places = (folder, *folder.parents)
    found = next((place for place in places if os.path.lexists(place) and not place.is_dir()), None)
    if found is None:
        return None
    if found.is_file():
        return UsageError(
            f"The folder {folder} cannot be created: {found} is a file. Choose another folder.",
            code="LEX-USE-001",
        )
    if found.is_symlink() and not found.exists():
        return _no_folder(folder, f"{found} is a link to {os.readlink(found)}, which does not exist")
    return _no_folder(folder, f"{found} is not a folder")


def _no_folder(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"The folder {folder} cannot be created: {why}. Choose another folder.", code="LEX-USE-1930"
    )


def _folder_error(folder: Path, error: OSError) -> OSError | UsageError:
    """Return the error for a folder that cannot be made; an error of the disk unchanged.

    Args:
        folder: The folder.
        error: What the system said.
    """
    if error.errno not in _NO_PLACE:
        return error
    return _blocked(folder) or _no_folder(folder, error.strerror or str(error))


def disk_error(path: Path, error: OSError) -> OSError | LexisegError:
    """Return the error for a full disk, missing permission or a name in use; any other error unchanged.

    Args:
        path: The file or folder that could not be written.
        error: What the system said.
    """
    if error.errno in _NO_SPACE:
        return DiskError(
            f"No space left on the disk while writing {path}. Free some space and run the command again.",
            code="LEX-DISK-002",
        )
    if error.errno in _NO_PERMISSION:
        return DiskError(
            f"No permission to write {path}. Choose a folder you may write to.", code="LEX-DISK-003"
        )
    no_handle = too_many_open(path, error)
    if no_handle is not None:
        return no_handle
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(
            f"The path {path} is too long for this disk. Choose a shorter --out, or shorter file names.",
            code="LEX-USE-742",
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


def write_text(path: str | Path, text: str, *, private: bool = True, keeps_access: bool = False) -> None:
    """Write `text` as UTF-8, atomically; private and access as for `atomic_path`.

    Bytes of a file name that are not UTF-8 are written as a backslash, the letter u and digits.
    """
    with atomic_path(path, private=private, keeps_access=keeps_access) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content`, atomically."""
    path = Path(path)
    # As `atomic_path`, with the one descriptor for all.
    handle, beside = _file_beside(path, private=True)
    with _becoming(path, beside), open(handle, "wb") as file:
        file.write(content)
        file.flush()
        _settle(handle, beside, private=True)


def write_json(path: str | Path, value: Any, *, private: bool = True) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinities are refused."""
    write_text(path, json_text(value), private=private)


def json_text(value: Any) -> str:
    """Return `value` as indented JSON; NaN and infinities are refused."""
    return printable_json(value, indent=2) + "\n"
