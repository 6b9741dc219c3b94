"""The SQLite file of a queue: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lexiseg.errors import DataError
from lexiseg.gateway.queue.faults import queue_errors

_VERSION = 1
# Longest wait for another program that has locked the file.
_WAIT_S = 30.0
_SCHEMA = """
CREATE TABLE image (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    uid_hash TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    rule TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT ''
);
CREATE INDEX image_uid ON image (uid_hash);
CREATE INDEX image_state ON image (state, number);
CREATE INDEX image_changed ON image (state, changed);
CREATE TABLE delivery (
    image TEXT NOT NULL REFERENCES image (id),
    destination TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (image, destination)
);
CREATE INDEX delivery_due ON delivery (destination, state, not_before);
"""


def open_queue(file: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file of a queue.

    Args:
        file: The SQLite file.
        create: Whether it is created if needed.

    Raises:
        DataError: The file is missing, is no queue, or is that of another version.
        UsageError: Another program has locked it.
        DiskError: It cannot be read or written.
    """
    if not create and not file.exists():
        raise _missing(file)
    with queue_errors(file):
        database = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=_WAIT_S)
    database.row_factory = sqlite3.Row
    try:
        with queue_errors(file):
            _prepare(file, database, create)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(file: Path, database: sqlite3.Connection, create: bool) -> None:
    """Look whether the file is a queue; make its tables in a new one."""
    database.execute("PRAGMA journal_mode = WAL")
    # Each transaction is on the disk before the sender is told that its image arrived.
    database.execute("PRAGMA synchronous = FULL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        if not create:
            raise _missing(file)
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
    elif version != _VERSION:
        raise DataError(
            f"{file} was written by another version of Lexiseg (queue format {version}, expected "
            f"{_VERSION}). Use that version to finish the queue, or another state folder.",
            code="LEX-DATA-1231",
        )


def _missing(file: Path) -> DataError:
    return DataError(
        f"The queue {file} is missing or empty, but images or results are in the folders `received`, "
        "`results` or `quarantine` beside it. A new queue does not know them, and nothing of them is "
        "deleted. Put the queue back; or move these folders to another place, start again, and put the "
        "images of `received` and `quarantine` into a source.",
        code="LEX-DATA-1837",
    )
