"""The data files that MetaImage and NRRD headers name: only files in the folder of the header are read.

A header may name any file of the computer as its voxels, such as `ElementDataFile = /etc/passwd`. So the
names are checked before the reader opens one. What a reader could understand in another way than this check
is refused too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from lexiseg.data.volumes.volume_names import NRRD_ENDINGS, VOLUME_READERS, volume_ending
from lexiseg.errors import DataError

#: Largest header that is searched for names of data files, in bytes.
LARGEST_HEADER = 1 << 20

_META_FIELD = b"ElementDataFile"
#: Forms of MetaImage for "the voxels follow in this file".
_LOCAL = ("LOCAL", "Local", "local")
_LIST = "LIST"
# A MetaImage field with a value on its own line. A field without one takes the next line for its value.
_META_VALUE = re.compile(rb"[=:][=:\s]*[^=:\s]")
_NRRD_FIELD = re.compile(rb"[ \t]*data[ \t]*file[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
_NRRD_END = re.compile(rb"\n\r?\n")
_LINE_ENDS = re.compile(rb"[\r\n]+")
# A pattern with one number of at most two digits' width, such as "slice%03d.raw".
_NUMBERED = re.compile(r"[^%]*%0?[0-9]{0,2}d[^%]*")
# A header can state any number of numbered files.
_MOST_NUMBERED = 100_000
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
    for name in _stated_names(path, is_nrrd=is_nrrd):
        if beside_only:
            _check_beside(name, path)
        _check_name(name, path)


def data_files(path: Path) -> Iterator[Path]:
    """Yield the data files that a volume file names, whether they exist or not.

    Nothing is yielded for a header that `check_data_files` refuses, or that cannot be read: no data file is
    read then.

    Args:
        path: A volume file of any kind.
    """
    ending = volume_ending(path.name)
    if VOLUME_READERS.get(ending) != "itk_file":
        return
    is_nrrd = ending in NRRD_ENDINGS
    try:
        check_data_files(path, is_nrrd=is_nrrd)
        stated = list(_stated_names(path, is_nrrd=is_nrrd))
    except (DataError, OSError):
        return
    is_list = bool(stated) and stated[0].startswith(_LIST)
    names = stated[1:] if is_list else [each for name in stated for each in _numbered(name)]
    yield from (path.parent / name for name in names)


def _stated_names(path: Path, *, is_nrrd: bool) -> Iterator[str]:
    """Yield the names of data files as a header states them; the first one may be a list's or a pattern's."""
    with open(path, "rb") as file:
        head = file.read(LARGEST_HEADER)
    return _nrrd_names(head, path) if is_nrrd else _meta_names(head, path)


def _numbered(name: str) -> Iterator[str]:
    """Yield the names that a pattern stands for, such as "slice%03d.raw 1 20 1"; else the name itself."""
    if "%" not in name:
        yield name
        return
    pattern, *limits = name.split()
    if len(limits) in (2, 3, 4) and all(number.lstrip("-").isdigit() for number in limits[:3]):
        first, last, step = (*map(int, limits[:3]), 1)[:3]
        if step:
            end = last + (1 if step > 0 else -1)
            yield from (pattern % number for number in range(first, end, step)[:_MOST_NUMBERED])


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
    if not is_bare or not os.path.isfile(path.parent / name):
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
