"""A folder that appears whole: one process at a time makes it, and what a killed one left is removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.files import remove_leftover_folders
from lexiseg.outputs.folder_lock import FolderLock


@contextmanager
def reserve_folder(out: Path) -> Iterator[None]:
    """Keep other processes from making a folder meanwhile, and remove what a killed one left beside it.

    Args:
        out: The folder, which does not exist yet.

    Raises:
        UsageError: Another process is making it, or a file is in the place of its parent folder.
        DiskError: There is no space or no permission.
    """
    place = out.absolute()
    lock = FolderLock.beside(place)

    def refusal(holder: str) -> UsageError:
        return UsageError(
            f"{out} is in use: {holder} makes it now. Wait until it ends, or choose another --out.",
            code="LEX-USE-746",
        )

    with lock.hold(refusal):
        if lock.supported:
            remove_leftover_folders(place)
        yield
