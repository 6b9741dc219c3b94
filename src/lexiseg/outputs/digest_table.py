"""The digests of many files by name, in memory that does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from lexiseg.errors import DiskError

#: Characters of a SHA-256.
_DIGEST = 64


class DigestTable:
    """SHA-256 digests by file name, one or several per name.

    It is a private database of SQLite: small ones stay in memory, and larger ones are in a temporary file
    that ends with the process. Several threads may use it.

    Raises:
        DiskError: The disk of temporary files is full.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        # An empty name: a temporary database. A file of a killed process has no name, so it leaves none.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE digests (name BLOB PRIMARY KEY, found TEXT NOT NULL) WITHOUT ROWID"
        )

    def add(self, name: str, digest: str) -> bool:
        """Add a digest to those of a name, as the last one; one that is there already moves to the end.

        Returns:
            Whether the name is new.
        """
        key = _key(name)
        with self._lock, _disk_errors():
            # A plain insert first, as nearly all names are new.
            added = self._database.execute(
                "INSERT INTO digests VALUES (?, ?) ON CONFLICT DO NOTHING", (key, digest)
            )
            if added.rowcount == 1:
                return True
            self._database.execute(
                "UPDATE digests SET found = replace(found, ?, '') || ? WHERE name = ?", (digest, digest, key)
            )
        return False

    def get(self, name: str) -> tuple[str, ...]:
        """Return the digests of a name, in the order in which they were added; empty if there are none."""
        rows = self._run("SELECT found FROM digests WHERE name = ?", (_key(name),))
        return _split(rows[0][0]) if rows else ()

    def keep_last(self, name: str) -> None:
        """Forget all digests of a name but the last one."""
        self._run(
            f"UPDATE digests SET found = substr(found, -{_DIGEST}) WHERE name = ?", (_key(name),)
        )  # fmt: skip

    def remove(self, name: str) -> None:
        """Forget a name."""
        self._run("DELETE FROM digests WHERE name = ?", (_key(name),))

    def is_empty(self) -> bool:
        """Return whether there is no name."""
        return not self._run("SELECT 1 FROM digests LIMIT 1")

    def items(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the names with their digests, sorted by name; nothing may be changed meanwhile."""
        with self._lock, _disk_errors():
            for name, found in self._database.execute("SELECT name, found FROM digests ORDER BY name"):
                yield name.decode("utf-8", "surrogatepass"), _split(found)

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[str, ...]]:
        with self._lock, _disk_errors():
            return self._database.execute(statement, values).fetchall()


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DiskError(
            f"The list of the files of this command cannot be kept on the disk of temporary files ({error}). "
            "Free some space there, or set TMPDIR to another folder.",
            code="LEX-DISK-1280",
        ) from error


def _key(name: str) -> bytes:
    # Names of files may hold bytes that are no Unicode. The order of the bytes is that of the names.
    return name.encode("utf-8", "surrogatepass")


def _split(found: str) -> tuple[str, ...]:
    return tuple(found[start : start + _DIGEST] for start in range(0, len(found), _DIGEST))
