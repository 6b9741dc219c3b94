"""Unpacking archives from elsewhere: nothing climbs out, nothing swells up, no links."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lexiseg.errors import DataError, DiskError
from lexiseg.files import disk_errors

#: An archive may declare this many bytes whatever its own size, and beyond that so many per byte of its own.
FREE_BYTES = 2 << 30
MAX_RATIO = 50

#: Archives inside archives are unpacked this deep.
DEPTH = 2

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
#: What Python's readers raise for damaged, encrypted or unknown content; a full disk is told apart before.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class _Member:
    """A file inside an archive: its name, its declared size, and its key there."""

    name: str
    size: int
    key: zipfile.ZipInfo | tarfile.TarInfo


def is_archive(path: Path) -> bool:
    """Say whether a file's name is that of an archive that `extract` reads; hidden files are none."""
    # macOS puts a hidden "._a.zip" beside each "a.zip", which is no archive.
    return path.name.lower().endswith(_SUFFIXES) and not path.name.startswith(".")


def extract(archive: str | Path, folder: str | Path, *, depth: int = DEPTH) -> None:
    """Unpack a .zip or .tar archive, and the archives inside it, each into a folder of its own name.

    Before a byte is written all members are looked at.

    Args:
        archive: The archive.
        folder: Where to; made if needed.
        depth: How deep archives inside archives are unpacked; those that were are removed.

    Raises:
        DataError: It is no archive, is damaged, holds a member that would be written elsewhere or is a link
            or device, or declares far more bytes than it can honestly hold.
        DiskError: There is no space for what it declares.
    """
    archive, folder = Path(archive), Path(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _opened(archive) as opened:
        members = list(_members(archive, opened))
        _check_size(archive, members, folder)
        for member in members:
            _write(archive, opened, member, folder)
    if depth <= 1:
        return
    for inner in dict.fromkeys(folder / member.name for member in members if is_archive(Path(member.name))):
        suffix = next(suffix for suffix in _SUFFIXES if inner.name.lower().endswith(suffix))
        extract(inner, inner.with_name(inner.name[: -len(suffix)]), depth=depth - 1)
        inner.unlink()


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive; whatever is wrong with it is said with its name."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield opened
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                yield tar
        else:
            with archive.open("rb") as file:
                is_page = file.read(64).lstrip().startswith(b"<")
            page = " but a web page, perhaps one to log in" if is_page else ""
            raise DataError(
                f"{archive} is no .zip or .tar archive{page}. Download it again.", code="LEX-DATA-053"
            )
    except _BROKEN as error:
        raise DataError(
            f"{archive} is damaged and cannot be unpacked: {error}. Download it again.", code="LEX-DATA-054"
        ) from error


def _members(archive: Path, opened: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    """Yield the files, refusing what is no plain file or folder below the target."""
    entries = opened.infolist() if isinstance(opened, zipfile.ZipFile) else opened.getmembers()
    for entry in entries:
        if isinstance(entry, zipfile.ZipInfo):
            mode = stat.S_IFMT(entry.external_attr >> 16)
            name, size, is_folder = entry.filename, entry.file_size, entry.is_dir()
            is_plain = is_folder or mode in (0, stat.S_IFREG)
        else:
            name, size, is_folder = entry.name, entry.size, entry.isdir()
            is_plain = is_folder or entry.isreg()
        if not is_plain:
            raise DataError(
                f"{archive} holds {name!r}, which is a link or device; nothing was unpacked.",
                code="LEX-DATA-055",
            )
        if not _stays_inside(name):
            raise DataError(
                f"{archive} holds {name!r}, which leads out of its folder; nothing was unpacked.",
                code="LEX-DATA-056",
            )
        if not is_folder:
            yield _Member(name, size, entry)


def _stays_inside(name: str) -> bool:
    """Whether a member's name is a relative path without a way up, on any system."""
    path = PurePosixPath(name)
    return bool(path.parts) and not (
        path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0] or "\0" in name
    )


def _check_size(archive: Path, members: list[_Member], folder: Path) -> None:
    """Refuse an archive that declares more than it can honestly hold, or than the disk has room for."""
    declared = sum(member.size for member in members)
    allowed = max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    if declared > allowed:
        raise DataError(
            f"{archive} declares {declared} bytes, more than {allowed} an archive of its size may hold; "
            f"nothing was unpacked.",
            code="LEX-DATA-057",
        )
    free = shutil.disk_usage(folder).free
    if declared > free:
        raise DiskError(
            f"{archive} needs {declared} bytes unpacked, but the disk has only {free} free.",
            code="LEX-DISK-004",
        )


def _write(archive: Path, opened: zipfile.ZipFile | tarfile.TarFile, member: _Member, folder: Path) -> None:
    """Write one member; a longer one than was declared is cut off by the readers and fails their check."""
    source: IO[bytes] | None
    if isinstance(opened, zipfile.ZipFile):
        assert isinstance(member.key, zipfile.ZipInfo)
        source = opened.open(member.key)
    else:
        assert isinstance(member.key, tarfile.TarInfo)
        source = opened.extractfile(member.key)
    assert source is not None
    target = folder / member.name
    with disk_errors(folder), source:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    if target.stat().st_size != member.size:
        raise DataError(
            f"{archive}: {member.name} has {target.stat().st_size} bytes unpacked, {member.size} were "
            "declared.",
            code="LEX-DATA-058",
        )
