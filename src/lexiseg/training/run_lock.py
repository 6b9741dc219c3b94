"""The lock of a run folder: one training at a time makes it or continues it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from lexiseg.errors import RunError
from lexiseg.files import remove_leftover_folders, remove_leftovers
from lexiseg.outputs.folder_lock import FolderLock


@contextmanager
def training_lock(out: Path, console: Console) -> Iterator[None]:
    """Keep other trainings out of a run folder.

    The lock file is beside the folder, which appears as a whole. What a killed training left half-written is
    removed.

    Args:
        out: The run folder; it may be missing.
        console: Where it is said if the disk supports no locks.

    Raises:
        RunError: Another process trains there.
        DiskError: There is no space or no permission.
        UsageError: A file is in the place of a folder.
    """
    place = out.absolute()
    lock = FolderLock.beside(place)

    def refusal(holder: str) -> RunError:
        return RunError(
            f"{out} is in use: {holder} trains the run there. Wait until it ends, or choose another --out.",
            code="LEX-RUN-740",
        )

    with lock.hold(refusal):
        if not lock.supported:
            console.print(
                f"The disk of {out} supports no locks: start no second training there meanwhile.",
                markup=False,
                highlight=False,
            )
        remove_leftover_folders(place)
        remove_leftovers(place)
        yield
