"""Hashes of files, by which a change or a copy is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lexiseg.open_files import open_errors


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content; the file is read in pieces.

    Raises:
        OSError: It cannot be read.
        DiskError: Too many files are open.
    """
    with open_errors(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
