"""Removal of outputs that an earlier batch wrote, where its images are predicted again."""

from __future__ import annotations

from pathlib import Path

from lexiseg.files import disk_errors

# The marks of all formats stand at the top of their files.
_HEAD_BYTES = 1024


def remove_stale(path: Path, mark: bytes) -> None:
    """Remove an output of an earlier batch, which would not fit the new mask.

    Files that Lexiseg did not write stay.

    Args:
        path: Where the output would be.
        mark: What its first bytes hold if Lexiseg wrote it.

    Raises:
        DiskError: There is no permission.
    """
    with disk_errors(path):
        if path.is_file() and mark in _head(path):
            path.unlink()


def _head(path: Path) -> bytes:
    """Return the first bytes of a file; none of one that cannot be read, which is then not taken for ours."""
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
