"""The files of a run that its predictions depend on: their hash, and whether they have changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lexiseg.file_hashes import file_sha256
from lexiseg.runs.manifest import CARD_FILE

# Files of a run that its predictions do not depend on.
_WITHOUT_EFFECT = frozenset(
    {CARD_FILE, "config.yaml", "history.csv", "splits.json", "masks.json", "image_hashes.json"}
)

#: Name, size, number on the disk, and time of the last change of each file.
FolderState = tuple[tuple[str, int, int, int], ...]


def run_version(folder: Path) -> str:
    """Return the SHA-256 of the files of a run that its predictions depend on, and of their names."""
    total = hashlib.sha256()
    for file in _files(folder):
        total.update(f"{file.name}\0{file_sha256(file)}\0".encode())
    return total.hexdigest()


def folder_state(folder: Path) -> FolderState | None:
    """Return by what a change of these files is noticed, without reading them; None where they are gone."""
    state = []
    try:
        for file in _files(folder):
            found = file.stat()
            state.append((file.name, found.st_size, found.st_ino, found.st_mtime_ns))
    except OSError:  # also of a file that was removed meanwhile
        return None
    return tuple(state)


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name not in _WITHOUT_EFFECT and not file.name.startswith(".")
    ]
