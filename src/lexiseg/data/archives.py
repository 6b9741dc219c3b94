"""Safe extraction of archives: no path traversal, no zip bombs, no links or devices."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from lexiseg.data.file_limits import TarStream
from lexiseg.data.portable_names import PortablePlaces
from lexiseg.errors import DataError, DiskError
from lexiseg.files import disk_errors, make_folder
from lexiseg.open_files import too_many_open
from lexiseg.printable import counted

#: An archive may declare `FREE_BYTES` whatever its own size; a larger sum is limited to `MAX_RATIO` times its
#: own size.
FREE_BYTES = 2 << 30
MAX_RATIO = 50

#: Archives inside archives are extracted to this depth.
DEPTH = 2

#: How compressed archives begin, and what decompresses them.
_COMPRESSIONS: tuple[tuple[bytes, Callable[[Path], object]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_PIECE_BYTES = 1 << 20
# Flag of a file in a zip file that needs a password.
_ENCRYPTED = 0x1
#: What Python's readers raise for damaged or unknown content; a full disk is reported separately.
BROKEN = (
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
    """A file inside an archive: its name, its declared size, and its entry in the archive."""

    name: str
    size: int
    entry: zipfile.ZipInfo | tarfile.TarInfo


@dataclass
class _Allowance:
    """The bytes that an archive and those inside it may declare together, and those declared so far."""

    archive: Path
    allowed: int
    used: int = 0

    def check(self, archive: Path, declared: int) -> None:
        """Refuse an archive that declares more bytes than are left.

        Raises:
            DataError: It does.
        """
        if self.used + declared <= self.allowed:
            return
        if archive == self.archive:
            raise DataError(
                f"{archive} declares {counted(declared, 'byte')}; an archive of its size may hold at most "
                f"{self.allowed:,}. Nothing was extracted.",
                code="LEX-DATA-057",
            )
        raise DataError(
            f"{archive} declares {counted(declared, 'byte')}; {self.archive.name} and the archives inside it "
            f"may hold at most {self.allowed:,} together, of which {self.allowed - self.used:,} are left. "
            "Unpack the archives yourself, and give the folder.",
            code="LEX-DATA-1814",
        )


def is_archive(path: Path) -> bool:
    """Return whether a file's name is that of an archive that `extract` reads; hidden files are not."""
    # macOS writes a hidden "._a.zip" beside each "a.zip"; it is not an archive.
    return path.name.lower().endswith(_SUFFIXES) and not path.name.startswith(".")


@dataclass(frozen=True)
class ArchivedFile:
    """A file inside an archive.

    Attributes:
        name: Its path in the archive.
        size: The bytes that it declares.
    """

    name: str
    size: int


def archived_files(archive: Path) -> tuple[ArchivedFile, ...]:
    """Return the files of an archive; nothing is extracted.

    Raises:
        DataError: It is damaged; a member is a link, a device or a path outside the target folder; or two
            members get one path, as a backslash separates folders.
    """
    allowance = _Allowance(archive, _allowed_bytes(archive))
    with _opened(archive) as opened:
        return tuple(
            ArchivedFile(member.name, member.size) for member in _members(archive, opened, allowance)
        )


def extract(archive: str | Path, folder: str | Path, *, depth: int = DEPTH) -> int:
    """Extract a .zip or .tar archive, and the archives inside it, each into a folder of its own.

    On Windows, "%" and digits stand in names for what it forbids, such as ":" (`PortablePlaces`). The folder
    has the name of the inner archive without its ending, such as "x" of "x.zip"; where a file or
    folder has this name, it is "x-2", "x-3" and so on. All members are checked before the first byte is
    written.

    Args:
        archive: The archive.
        folder: The target folder; created if needed.
        depth: Depth to which archives inside archives are extracted; an extracted inner archive is removed.

    Returns:
        Number of files that a later one of the same name replaces, in the archive and those inside it.

    Raises:
        DataError: The file is not an archive or is damaged; a member is a link or device, or would be written
            outside the folder; two members would be written to one path, as a backslash separates folders; or
            the archive and those inside it declare more bytes than an archive of its size may hold.
        DiskError: There is not enough space for the declared bytes.
    """
    archive = Path(archive)
    return _extract(archive, Path(folder), depth, _Allowance(archive, _allowed_bytes(archive)))


def _extract(archive: Path, folder: Path, depth: int, allowance: _Allowance) -> int:
    """Extract an archive, and those inside it, which declare at most the bytes of the allowance together.

    Returns:
        Number of files that later ones replace.
    """
    with disk_errors(folder):
        make_folder(folder, private=False)
    with _opened(archive) as opened:
        members = list(_members(archive, opened, allowance))
        declared = sum(member.size for member in members)
        allowance.check(archive, declared)
        _check_space(archive, declared, folder)
        allowance.used += declared
        places = PortablePlaces(folder)
        for member in members:
            with disk_errors(folder):
                _write(archive, opened, member, places.place(member.name))
    replaced = len(members) - len({PurePosixPath(member.name) for member in members})
    if depth <= 1:
        return replaced
    for inner in dict.fromkeys(places.place(one.name) for one in members if is_archive(Path(one.name))):
        replaced += _extract(inner, _free_folder(inner), depth - 1, allowance)
        inner.unlink()
    return replaced


def _free_folder(archive: Path) -> Path:
    """Return the folder of an inner archive, which neither a member nor another archive has."""
    suffix = next(suffix for suffix in _SUFFIXES if archive.name.lower().endswith(suffix))
    stem = archive.name[: -len(suffix)]
    folder, number = archive.with_name(stem), 1
    while folder.exists():
        number += 1
        folder = archive.with_name(f"{stem}-{number}")
    return folder


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive; every error names it."""
    try:
        if _is_zip(archive):
            with zipfile.ZipFile(archive) as opened:
                yield opened
        else:
            with _decompressed(archive) as file, _opened_tar(archive, file) as tar:
                yield tar
    except BROKEN as error:
        raise too_many_open(archive, error) or DataError(
            f"{archive} is damaged and cannot be extracted: {error}. Replace it with a complete copy.",
            code="LEX-DATA-054",
        ) from error


def _is_zip(archive: Path) -> bool:
    """Return whether an archive is a zip file.

    Its list stands at the end, so a .tar archive that ends with a zip file looks like one.
    """
    with archive.open("rb") as file:
        start = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    is_tar = start[_TAR_MAGIC_AT:] == _TAR_MAGIC or any(start.startswith(magic) for magic, _ in _COMPRESSIONS)
    return (start.startswith(b"PK") or not is_tar) and zipfile.is_zipfile(archive)


def _decompressed(archive: Path) -> BinaryIO:
    """Open an archive for reading, decompressed where its first bytes are those of a compressed file."""
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _COMPRESSIONS if start.startswith(magic)), None)
    return archive.open("rb") if opener is None else cast(BinaryIO, opener(archive))


def _opened_tar(archive: Path, file: BinaryIO) -> tarfile.TarFile:
    """Open a .tar archive, which reads its first header.

    Raises:
        DataError: It is none.
    """
    try:
        return tarfile.open(fileobj=TarStream(file), mode="r:")
    except tarfile.TarError as error:
        with archive.open("rb") as content:
            is_page = content.read(64).lstrip().startswith(b"<")
        page = " but a web page, perhaps a login page" if is_page else ""
        raise DataError(
            f"{archive} is not a .zip or .tar archive{page}. Replace it with the archive itself.",
            code="LEX-DATA-053",
        ) from error


def _members(
    archive: Path, opened: zipfile.ZipFile | tarfile.TarFile, allowance: _Allowance
) -> Iterator[_Member]:
    """Yield the files; refuse everything except plain files and folders below the target folder.

    A backslash separates folders, as in archives of some Windows programs.

    Raises:
        DataError: A member is a link, a device, encrypted or outside, or two members get one path so.
    """
    stated: dict[PurePosixPath, str] = {}
    entries = (
        opened.infolist() if isinstance(opened, zipfile.ZipFile) else _tar_entries(archive, opened, allowance)
    )
    for entry in entries:
        as_stated = entry.filename if isinstance(entry, zipfile.ZipInfo) else entry.name
        if isinstance(entry, zipfile.ZipInfo):
            entry.filename = name = entry.filename.replace("\\", "/")
            mode = stat.S_IFMT(entry.external_attr >> 16)
            size, is_folder = entry.file_size, entry.is_dir()
            is_plain = is_folder or mode in (0, stat.S_IFREG)
            if entry.flag_bits & _ENCRYPTED:
                raise DataError(
                    f"{archive} is encrypted: {name!r} in it needs a password. Make the archive again "
                    "without one.",
                    code="LEX-DATA-1593",
                )
        else:
            entry.name = name = entry.name.replace("\\", "/")
            size, is_folder = entry.size, entry.isdir()
            is_plain = is_folder or entry.isreg()
        if is_folder and not PurePosixPath(name).parts:
            continue  # the folder itself, as `tar -c .` writes it
        _refuse_unsafe(archive, name, is_plain=is_plain)
        if not is_folder:
            _refuse_equal(archive, stated.setdefault(PurePosixPath(name), as_stated), as_stated)
            yield _Member(name, size, entry)


def _refuse_equal(archive: Path, first: str, second: str) -> None:
    """Refuse two names of files that a backslash as separator makes one path.

    One name that occurs twice is an update of the file, as `zip` and `tar` write it: the last one counts.

    Raises:
        DataError: They differ by more than what a path leaves out, such as "./".
    """
    if PurePosixPath(first) != PurePosixPath(second):
        raise DataError(
            f"{archive} holds {first!r} and {second!r}, which are one path, because a backslash separates "
            "folders; nothing was extracted. Rename one of the two files, and make the archive again.",
            code="LEX-DATA-1815",
        )


def _tar_entries(archive: Path, opened: tarfile.TarFile, allowance: _Allowance) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of a .tar archive, until they declare too many bytes.

    What lies behind a content is found by reading it, so a compressed bomb would be decompressed.

    Raises:
        DataError: They declare more bytes than are left.
    """
    declared = 0
    for entry in opened:
        declared += entry.size
        allowance.check(archive, declared)
        yield entry


def _refuse_unsafe(archive: Path, name: str, *, is_plain: bool) -> None:
    """Refuse a link or a device, and a path that leads out of the target folder.

    Raises:
        DataError: It is one.
    """
    if not is_plain:
        raise DataError(
            f"{archive} holds {name!r}, which is a link or device; nothing was extracted.",
            code="LEX-DATA-055",
        )
    path = PurePosixPath(name)
    stays_inside = path.parts and not (path.is_absolute() or ".." in path.parts or ":" in path.parts[0])
    if not stays_inside or "\0" in name:
        raise DataError(
            f"{archive} holds {name!r}, a path outside the target folder; nothing was extracted.",
            code="LEX-DATA-056",
        )


def _check_space(archive: Path, declared: int, folder: Path) -> None:
    """Refuse an archive that declares more bytes than fit on the disk."""
    free = shutil.disk_usage(folder).free
    if declared > free:
        raise DiskError(
            f"{archive} needs {counted(declared, 'byte')} when extracted, but the disk has only {free:,} "
            "free.",
            code="LEX-DISK-004",
        )


def _content(opened: zipfile.ZipFile | tarfile.TarFile, member: _Member) -> IO[bytes]:
    """Open a member for reading."""
    if isinstance(opened, zipfile.ZipFile):
        assert isinstance(member.entry, zipfile.ZipInfo)
        return opened.open(member.entry)
    assert isinstance(member.entry, tarfile.TarInfo)
    content = opened.extractfile(member.entry)
    assert content is not None, "it is a file"
    return content


def _allowed_bytes(archive: Path) -> int:
    return max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)


def _write(archive: Path, opened: zipfile.ZipFile | tarfile.TarFile, member: _Member, place: Path) -> None:
    """Write one member to its place; the readers never give more than its declared size."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with _content(opened, member) as content, open(place, "wb") as written:
        shutil.copyfileobj(content, written, _PIECE_BYTES)
    size = place.stat().st_size
    if size != member.size:
        raise DataError(
            f"{archive}: expected {counted(member.size, 'byte')} for {member.name}, as declared, got "
            f"{size:,}. Replace the archive with a complete copy.",
            code="LEX-DATA-058",
        )
