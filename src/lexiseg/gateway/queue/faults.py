"""What SQLite says of the file of a queue, as an error for the user: a fault of the machine is no damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import DataError, DiskError, LexisegError, UsageError

# SQLITE_ERROR: the file is a database, with other tables.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
# The other bits of a code of SQLite say more about the same error.
_KIND = 0xFF


@contextmanager
def queue_errors(file: Path) -> Iterator[None]:
    """Turn errors of SQLite into errors meant for the user.

    Args:
        file: The file of the queue.

    Raises:
        DataError: The file is damaged, or is no queue.
        UsageError: Another program has locked it.
        DiskError: It cannot be read or written, for want of space or permission or by a fault of the disk.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _error(file, error) from error


def _error(file: Path, error: sqlite3.DatabaseError) -> LexisegError:
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _KIND
    if kind in _DAMAGED:
        return DataError(
            f"{file} is no queue of a gateway, or is damaged ({error}). Move it and the folders `received`, "
            "`results` and `quarantine` beside it to another place, and start again. Then put the images of "
            "`received` and `quarantine` into a source.",
            code="LEX-DATA-1230",
        )
    if kind in _IN_USE:
        return UsageError(
            f"{file} is locked by another program ({error}). End that program, such as a backup or a viewer "
            "of databases, and start again. The queue is not changed.",
            code="LEX-USE-1839",
        )
    return DiskError(
        f"The queue {file} cannot be read or written ({error}). Check the disk, its free space and the "
        "permissions of the file and its folder, and start again. Leave the file where it is: it is not "
        "known to be damaged.",
        code="LEX-DISK-1838",
    )
