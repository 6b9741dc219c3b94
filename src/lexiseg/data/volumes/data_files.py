"""The data files that MetaImage and NRRD headers name: only files in the folder of the header are read.

A header may name any file of the computer as its voxels, such as `ElementDataFile = /etc/passwd`. So the
names are checked before the reader opens one. What a reader could understand in another way than this check
is refused too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from lexiseg.data.volumes.volume_names import NRRD_ENDINGS, VOLUME_READERS, volume_ending
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors

#: Largest header that is searched for names of data files, in bytes.
LARGEST_HEADER = 1 << 20

# Bytes of a file that are read first; most headers are shorter, and each further piece has twice as many.
_FIRST_PIECE = 4096

_META_FIELD = b"ElementDataFile"
#: Forms of MetaImage for "the voxels follow in this file".
_LOCAL = ("LOCAL", "Local", "local")
_LIST = "LIST"
# A MetaImage field with a value on its own line. A field without one takes the next line for its value.
_META_VALUE = re.compile(rb"[=:][=:\s]*[^=:\s]")
_NRRD_FIELD = re.compile(rb"[ \t]*data[ \t]*file[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
_NRRD_END = re.compile(rb"\n\r?\n")
# What follows this line names no file.
_META_END = re.compile(_META_FIELD + rb"[ \t]*[=:][=: \t]*(?:LOCAL|Local|local)[ \t\r]*\n")
_LINE_ENDS = re.compile(rb"[\r\n]+")
# A pattern with one number of at most two digits' width, such as "slice%03d.raw".
_NUMBERED = re.compile(r"[^%]*%0?[0-9]{0,2}d[^%]*")
# Its first and last number, and the step, which are short enough for every reader.
_LIMIT = re.compile(r"[+-]?[0-9]{1,9}")
# A header can state any number of numbered files. The search for data files ends when so many are not there.
_MOST_MISSING = 1000
# Readers take these for the next line, for the standard input, or for the folder.
_NO_NAMES = ("", "-", ".")


def check_data_files(path: Path, *, is_nrrd: bool, beside_only: bool = False) -> None:
    """Refuse a header that names a data file outside of its folder.

    Args:
        path: A MetaImage or NRRD file.
        is_nrrd: Whether it is NRRD.
        beside_only: Whether each data file must be named by its bare name and lie beside the header; then
            lists and patterns of several files, and files in folders below, are refused too.

    Raises:
        DataError: It names a file outside of its folder, or its names cannot be told with certainty.
    """
    _checked_names(path, is_nrrd=is_nrrd, beside_only=beside_only)


def data_files(path: Path, *, beside_only: bool = False) -> Iterator[Path]:
    """Yield the data files that a volume file names, whether they exist or not.

    Nothing is yielded for a header that `check_data_files` refuses, or that cannot be read: no data file is
    read then. A volume that lacks many data files cannot be read, and the rest of them is left out.

    Args:
        path: A volume file of any kind.
        beside_only: As of `check_data_files`.
    """
    ending = volume_ending(path.name)
    if VOLUME_READERS.get(ending) != "itk_file":
        return
    try:
        stated = _checked_names(path, is_nrrd=ending in NRRD_ENDINGS, beside_only=beside_only)
    except (DataError, OSError):
        return
    is_list = bool(stated) and stated[0].startswith(_LIST)
    names = stated[1:] if is_list else (each for name in stated for each in _numbered(name))
    yield from _until_many_are_missing(path.parent / name for name in names)


def _checked_names(path: Path, *, is_nrrd: bool, beside_only: bool) -> list[str]:
    """Return the names of data files as a header states them; see `check_data_files`.

    Each name is there once; the first one may be a list's or a pattern's.
    """
    head = _head(path, _NRRD_END if is_nrrd else _META_END)
    names: dict[str, None] = {}
    for name in _nrrd_names(head, path) if is_nrrd else _meta_names(head, path):
        if name in names:
            continue
        if beside_only:
            _check_beside(name, path)
        _check_name(name, path)
        names[name] = None
    return list(names)


def _head(path: Path, end: re.Pattern[bytes]) -> bytes:
    """Return the beginning of a file: up to the end of its header, or at most `LARGEST_HEADER` bytes.

    Args:
        path: The file.
        end: Matches the end of its header.
    """
    head, wanted = b"", _FIRST_PIECE
    with open_errors(path), open(path, "rb", buffering=0) as file:
        while len(head) < LARGEST_HEADER:
            piece = file.read(min(wanted, LARGEST_HEADER) - len(head))
            head += piece
            if not piece or end.search(head) is not None:
                break
            wanted = 2 * max(len(head), _FIRST_PIECE)
    return head


def _until_many_are_missing(files: Iterable[Path]) -> Iterator[Path]:
    missing = 0
    for file in files:
        yield file
        missing += not os.path.lexists(file)
        if missing == _MOST_MISSING:
            return


def _numbered(name: str) -> Iterator[str]:
    """Yield the names that a pattern stands for, such as "slice%03d.raw 1 20 1"; else the name itself.

    Nothing is yielded for a pattern without numbers that can be told.
    """
    if "%" not in name:
        yield name
        return
    pattern, *limits = name.split()
    if len(limits) in (2, 3, 4) and all(map(_LIMIT.fullmatch, limits[:3])):
        first, last, step = (*map(int, limits[:3]), 1)[:3]
        if step:
            yield from (pattern % number for number in range(first, last + (1 if step > 0 else -1), step))


def _meta_names(head: bytes, path: Path) -> Iterator[str]:
    """Yield the names in a MetaImage header; the field of data files is the last one of a header."""
    before, field, after = head.partition(_META_FIELD)
    if not field and len(head) < LARGEST_HEADER:
        return  # no file is named, and the reader refuses such a header
    *earlier, on_its_line = before.split(b"\n")
    earlier = [line for line in earlier if line.strip()]
    value, *following = after.split(b"\n")
    if (
        not field
        or on_its_line.strip()
        or (earlier and _META_VALUE.search(earlier[-1]) is None)
        or value.lstrip()[:1] not in (b"=", b":")
    ):
        raise _unclear(path, "ElementDataFile")
    stated = _text(value.strip().lstrip(b"=: \t"), path)
    if stated in _LOCAL:
        return
    # Otherwise nothing but names may follow, and the header was read as a whole.
    if _META_FIELD in after or len(head) == LARGEST_HEADER:
        raise _unclear(path, "ElementDataFile")
    yield from _listed(stated, following, path)


def _nrrd_names(head: bytes, path: Path) -> Iterator[str]:
    """Yield the names in a NRRD header, which ends with an empty line or with the file."""
    end = _NRRD_END.search(head)
    if end is None and len(head) == LARGEST_HEADER:
        raise _unclear(path, "data file")
    lines = _LINE_ENDS.split(head if end is None else head[: end.start()])
    for number, line in enumerate(lines):
        match = _NRRD_FIELD.fullmatch(line)
        if match is not None:
            yield from _listed(_text(match[1], path), lines[number + 1 :], path)


def _listed(stated: str, following: list[bytes], path: Path) -> Iterator[str]:
    """Yield the names that a field states: one file, numbered files, or those of the following lines."""
    if "%" in stated and _NUMBERED.fullmatch(stated.split()[0]) is None:
        raise DataError(
            f"{path} names its data files {stated!r}. Expected a pattern with one number, such as "
            "slice%03d.raw. Save the volume as one .nrrd or .mha file.",
            code="LEX-DATA-1425",
        )
    yield stated
    if stated.startswith(_LIST):
        for line in following:
            if line.strip():
                yield _text(line, path)


def _check_beside(name: str, path: Path) -> None:
    """Refuse a name that is not that of a file beside the header, on any operating system."""
    is_bare = name == PurePosixPath(name).name == PureWindowsPath(name).name
    # A file may have the name of a list or a pattern, and readers take it for one.
    is_one = not name.startswith(_LIST) and "%" not in name
    if not is_one or not is_bare or not os.path.isfile(path.parent / name):
        raise DataError(
            f"{path} takes its voxels from another file, which does not lie beside it. Save the volume "
            "as one file (.mha or .nrrd), or send a zip file that holds both.",
            code="LEX-DATA-1456",
        )


def _check_name(name: str, path: Path) -> None:
    """Refuse a name that leads out of the folder of the header, on any operating system."""
    windows = PureWindowsPath(name)
    outside = windows.drive or windows.root or ".." in (*windows.parts, *PurePosixPath(name).parts)
    if outside or name in _NO_NAMES:
        raise DataError(
            f"{path} names {name!r} as its data file. Only files in the folder of the header are read. Move "
            "the data file there and write its bare name into the header, or save the volume as one .nrrd or "
            ".mha file.",
            code="LEX-DATA-1426",
        )


def _text(value: bytes, path: Path) -> str:
    """Return a name as text, without spaces around it.

    Raises:
        DataError: It holds control characters, at which readers may cut it off.
    """
    text = value.decode("utf-8", "surrogateescape").strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise _unclear(path, "the name of a data file")
    return text


def _unclear(path: Path, field: str) -> DataError:
    return DataError(
        f"{path} does not say clearly which data file it names ({field}): the field is missing, is not on a "
        f"line of its own, is there twice, or lies beyond the first {LARGEST_HEADER:,} bytes. Save the "
        "volume as one .nrrd or .mha file.",
        code="LEX-DATA-1427",
    )
