"""Refusal of volume files whose header names a data file that is not beside it.

The headers of MetaImage and NRRD files may name any file of the machine. One that came over the network must
not make the server read it.
"""

from __future__ import annotations

import re
from pathlib import Path

from lexiseg.data.volumes.volume_names import volume_ending
from lexiseg.errors import DataError

# Longest header that is searched.
_HEADER_BYTES = 1 << 20
_META = re.compile(rb"^[ \t]*ElementDataFile[ \t]*[=:][ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_NRRD_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_NRRD_FIELD = re.compile(
    rb"(?:^|[\r\n])[ \t]*data ?file[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=[\r\n]|$)", re.IGNORECASE
)
# A plain name: no folder, no pattern of several files, and no list of them.
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_.() -]+")
_LOCAL = frozenset({b"LOCAL", b"Local", b"local"})
_META_ENDINGS, _NRRD_ENDINGS = frozenset({".mha", ".mhd"}), frozenset({".nrrd", ".nhdr"})


def check_data_file(path: Path) -> None:
    """Refuse a volume file that takes its voxels from a file that does not lie beside it.

    Args:
        path: A volume file, in a folder of the server that holds files of one upload only.

    Raises:
        DataError: It does, or it does not say where its voxels are.
    """
    ending = volume_ending(path.name)
    if ending not in _META_ENDINGS | _NRRD_ENDINGS:
        return
    with open(path, "rb") as file:
        content = file.read(_HEADER_BYTES)
    named = _meta_data_files(content) if ending in _META_ENDINGS else _nrrd_data_files(content)
    if named is None:
        raise DataError(
            f"{path} has no header that says where its voxels are. Replace the file.", code="LEX-DATA-1455"
        )
    for name in named:
        beside = path.parent / name.decode("ascii", errors="replace")
        if not _PLAIN_NAME.fullmatch(name) or name.upper().startswith(b"LIST") or not beside.is_file():
            raise DataError(
                f"{path} takes its voxels from another file, which does not lie beside it. Save the volume "
                "as one file (.mha or .nrrd), or send a zip file that holds both.",
                code="LEX-DATA-1456",
            )


def _meta_data_files(content: bytes) -> list[bytes] | None:
    """Return the data files that a MetaImage header names; empty if the voxels follow the header."""
    at = content.find(b"ElementDataFile")
    found = _META.search(content)
    # It is the last field; whatever comes before it must not look like another one.
    if found is None or found.start() > at or at > found.end():
        return None
    return [] if found[1] in _LOCAL else [found[1]]


def _nrrd_data_files(content: bytes) -> list[bytes] | None:
    """Return the data files that a NRRD header names; empty if the voxels follow the header."""
    if not content.startswith(b"NRRD"):
        return None
    end = _NRRD_END.search(content)
    named = [found[1] for found in _NRRD_FIELD.finditer(content)]
    # A header without an empty line holds no voxels.
    return named if end is not None or (named and len(content) < _HEADER_BYTES) else None
