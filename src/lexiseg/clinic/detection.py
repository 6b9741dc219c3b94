"""Recognition of DICOM files by their content; pydicom is not needed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.extras import install_hint
from lexiseg.open_files import open_errors

#: Endings of DICOM files. Many archives write files without an ending, or with a UID as name.
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})

#: The index of a disc, which is no image.
DICOMDIR = "DICOMDIR"

#: Number of bytes at the start of a file that `is_dicom` needs.
HEAD_BYTES = 132

_MAGIC = b"DICM"
_MAGIC_AT = 128
# Files without the preamble start with an element of group 0002 or 0008: its length, or the character set.
_BARE_STARTS = (
    b"\x02\0\0\0",
    b"\x02\0\1\0",
    b"\x02\0\x10\0",
    b"\x08\0\0\0",
    b"\x08\0\1\0",
    b"\x08\0\5\0",
    b"\x08\0\x08\0",
)


def is_dicom(content: bytes) -> bool:
    """Return whether the first bytes of a file are those of a DICOM file, with or without preamble.

    Args:
        content: The file, or at least its first `HEAD_BYTES` bytes.
    """
    return content[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC or content[:4] in _BARE_STARTS


def has_preamble(content: bytes) -> bool:
    """Return whether the file has the preamble and the magic word of DICOM."""
    return content[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC


def is_dicom_file(path: Path) -> bool:
    """Return whether a file without a known ending is a DICOM file; an index (DICOMDIR) is none.

    A file that cannot be read is not taken for one.
    """
    if path.name.upper() == DICOMDIR:
        return False
    try:
        with open_errors(path), open(path, "rb") as file:
            return has_preamble(file.read(HEAD_BYTES))
    except OSError:
        return False


def may_be_dicom(path: Path) -> bool:
    """Return whether a name says nothing about the kind of file: no ending, or a number, as in a UID."""
    return path.suffix == "" or path.suffix[1:].isdigit()


def require_dicom(path: Path | str) -> None:
    """Refuse a DICOM file where the packages that read it are not installed.

    Raises:
        UsageError: pydicom is missing.
    """
    if find_spec("pydicom") is None:
        raise UsageError(
            f"{path} is a DICOM file, and the package 'pydicom' is not installed. {install_hint('dicom')}",
            code="LEX-USE-940",
        )
