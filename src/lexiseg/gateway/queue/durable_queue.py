"""The durable queue: which images came, how far each is, and which deliveries of its results are still due.

It is one SQLite file in the state folder. Every change is a transaction that is on the disk before the method
returns, so a killed process continues where it was. It holds no data of patients: images are known by hashes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Literal

from lexiseg.gateway.queue.sqlite_file import open_queue

#: How far an image is: it waits for its prediction; its results are being delivered; everything was
#: delivered; no rule fits it, or Lexiseg made it; a person must look at it; its files were deleted, and its
#: hashes are still known.
State = Literal["waiting", "predicted", "done", "left_out", "quarantined", "deleted"]

#: Name of the file in the state folder.
QUEUE_FILE = "queue.sqlite3"

# A clock that is kept right by the network steps back so far at times, which holds up nothing.
_CLOCK_STEP_S = 5.0


@dataclass(frozen=True, kw_only=True)
class QueuedImage:
    """One image of the queue.

    Attributes:
        id: Its name in the state folder, 32 hexadecimal digits.
        content_hash: Hash of its content.
        source: Name of the source.
        state: How far it is.
        attempts: How many times its prediction was begun.
        received: When it came, in seconds since 1970.
        changed: When its state changed.
        rule: Name of its rule; empty before it is predicted.
        code: Code of the reason why a person must look at it; empty without one.
    """

    id: str
    content_hash: str
    source: str
    state: State
    attempts: int
    received: float
    changed: float
    rule: str
    code: str


@dataclass(frozen=True, kw_only=True)
class DueDelivery:
    """Results of one image that one destination shall get.

    Attributes:
        image: The image.
        attempts: How many times it was tried.
    """

    image: QueuedImage
    attempts: int


@dataclass(frozen=True, kw_only=True)
class CorrectedTimes:
    """How many times of a queue could not be.

    Attributes:
        images: Times at which an image came or changed, in the future.
        waits: Deliveries that would have waited longer than the longest wait.
    """

    images: int
    waits: int


class Queue:
    """The queue of a gateway; all methods may be called from several threads.

    Args:
        file: The SQLite file.
        create: Whether it is created if needed.

    Raises:
        DataError: The file is missing, is no queue, or is that of another version.
        UsageError: Another program has locked it.
        DiskError: It cannot be read or written.
    """

    def __init__(self, file: Path, *, create: bool = True) -> None:
        self._lock = RLock()
        self._database = open_queue(file, create=create)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def age(self) -> tuple[int, int]:
        """Return how many images have ever come, and how many times `count_start` was called."""
        images = self._one("SELECT seq FROM sqlite_sequence WHERE name = 'image'")
        starts = self._one("PRAGMA application_id")
        return 0 if images is None else int(images[0]), 0 if starts is None else int(starts[0])

    def count_start(self) -> None:
        """Count that a gateway opened the queue."""
        with self._transaction() as database:
            database.execute(f"PRAGMA application_id = {self.age()[1] + 1}")

    def find(self, uid_hash: str, content_hash: str = "") -> QueuedImage | None:
        """Return the first image that came with a UID, before others that with this content; None without."""
        order = "ORDER BY content_hash = ? DESC, number LIMIT 1"
        row = self._one(f"SELECT * FROM image WHERE uid_hash = ? {order}", uid_hash, content_hash)
        return None if row is None else _image(row)

    def shares_uid(self, id: str) -> bool:
        """Return whether another image came with the UID of an image."""
        row = self._one(
            "SELECT 1 FROM image AS one JOIN image AS other ON other.uid_hash = one.uid_hash "
            "WHERE one.id = ? AND other.id != one.id LIMIT 1",
            id,
        )
        return row is not None

    def get(self, id: str) -> QueuedImage | None:
        """Return an image by its id; None if there is none."""
        row = self._one("SELECT * FROM image WHERE id = ?", id)
        return None if row is None else _image(row)

    def add(self, id: str, *, uid_hash: str, content_hash: str, source: str, code: str = "") -> None:
        """Note an image that came.

        Args:
            id: The image.
            uid_hash: Hash of its UID.
            content_hash: Hash of its content.
            source: Name of the source.
            code: Why it goes into quarantine; empty for an image that waits for its prediction.
        """
        now, state = time.time(), "quarantined" if code else "waiting"
        with self._transaction() as database:
            database.execute(
                "INSERT INTO image (id, uid_hash, content_hash, source, state, code, received, changed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (id, uid_hash, content_hash, source, state, code, now, now),
            )

    def begin(self, limit: int) -> list[QueuedImage]:
        """Return the images that are predicted next, oldest first, and count the attempt.

        An image whose prediction was begun before comes alone: it may have ended the process.

        Args:
            limit: Largest number of images.
        """
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM image WHERE state = 'waiting' ORDER BY attempts > 0, number LIMIT ?", (limit,)
            ).fetchall()
            fresh = [row for row in rows if row["attempts"] == 0]
            chosen = fresh or rows[:1]
            database.executemany(
                "UPDATE image SET attempts = attempts + 1 WHERE id = ?", [(row["id"],) for row in chosen]
            )
        return [_image(row) for row in chosen]

    def give_back(self, ids: Sequence[str]) -> None:
        """Undo the count of `begin`, where the prediction failed for a reason that is none of the images'."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE image SET attempts = attempts - 1 WHERE id = ? AND state = 'waiting'",
                [(id,) for id in ids],
            )

    def predicted(self, id: str, *, rule: str, code: str, destinations: Sequence[str]) -> State:
        """Note that the results of an image are in the state folder, and who shall get them.

        Args:
            id: The image.
            rule: Name of its rule.
            code: Code of the reason why some of its results were not written; empty if all were.
            destinations: Names of the destinations; without any, the image is settled at once.

        Returns:
            The state of the image.
        """
        with self._transaction() as database:
            database.execute(
                "UPDATE image SET state = 'predicted', rule = ?, code = ?, changed = ? WHERE id = ?",
                (rule, code, time.time(), id),
            )
            database.executemany(
                "INSERT INTO delivery (image, destination) VALUES (?, ?)",
                [(id, destination) for destination in destinations],
            )
            return self._settle(database, id)

    def settle(self, id: str, state: State, *, code: str = "", rule: str = "") -> None:
        """Set the last state of an image that is not delivered."""
        with self._transaction() as database:
            database.execute(
                "UPDATE image SET state = ?, code = ?, rule = ?, changed = ? WHERE id = ?",
                (state, code, rule, time.time(), id),
            )

    def due(self, destination: str, limit: int) -> list[DueDelivery]:
        """Return the deliveries to a destination whose time has come, oldest first."""
        rows = self._all(
            "SELECT image.*, delivery.attempts AS tries "
            "FROM delivery JOIN image ON image.id = delivery.image "
            "WHERE delivery.destination = ? AND delivery.state = 'pending' AND delivery.not_before <= ? "
            "ORDER BY image.number LIMIT ?",
            destination,
            time.time(),
            limit,
        )
        return [DueDelivery(image=_image(row), attempts=row["tries"]) for row in rows]

    def pending(self) -> dict[str, int]:
        """Return the number of images whose results each destination shall still get, if it is not 0."""
        rows = self._all(
            "SELECT destination, COUNT(*) AS images FROM delivery "
            "WHERE state = 'pending' GROUP BY destination"
        )
        return {row["destination"]: row["images"] for row in rows}

    def delivered(self, id: str, destination: str) -> State:
        """Note that a destination has the results of an image; return the state of the image."""
        with self._transaction() as database:
            database.execute(
                "UPDATE delivery SET state = 'sent' WHERE image = ? AND destination = ?", (id, destination)
            )
            return self._settle(database, id)

    def postpone(self, id: str, destination: str, wait_s: float) -> None:
        """Note a failed delivery that is tried again after some seconds."""
        with self._transaction() as database:
            database.execute(
                "UPDATE delivery SET attempts = attempts + 1, not_before = ? "
                "WHERE image = ? AND destination = ?",
                (time.time() + wait_s, id, destination),
            )

    def correct_times(self, longest_wait_s: float) -> CorrectedTimes:
        """Set times that cannot be to now; return how many there were.

        An image that came or changed in the future did so before now, and no delivery waits longer than the
        longest wait. Without this, such a delivery would wait until that time, and would not be given up.

        Args:
            longest_wait_s: Longest wait of a delivery in seconds.
        """
        with self._transaction() as database:
            # Only here: while this thread waits for its transaction, others write later times.
            now = time.time()

            def corrected(statement: str, latest: float) -> int:
                return database.execute(statement, (now, latest + _CLOCK_STEP_S)).rowcount

            received = corrected("UPDATE image SET received = ? WHERE received > ?", now)
            changed = corrected("UPDATE image SET changed = ? WHERE changed > ?", now)
            waits = corrected(
                "UPDATE delivery SET not_before = ? WHERE state = 'pending' AND not_before > ?",
                now + longest_wait_s,
            )
        return CorrectedTimes(images=received + changed, waits=waits)

    def refused(self, id: str, destination: str, code: str) -> State:
        """Note a delivery that is not tried again; return the state of the image."""
        with self._transaction() as database:
            database.execute(
                "UPDATE delivery SET state = 'refused' WHERE image = ? AND destination = ?", (id, destination)
            )
            # The first reason stays: it is the one that the quarantine states.
            database.execute("UPDATE image SET code = ? WHERE id = ? AND code = ''", (code, id))
            return self._settle(database, id)

    def requeue(self, id: str) -> None:
        """Let an image of the quarantine wait for its prediction again."""
        with self._transaction() as database:
            database.execute("DELETE FROM delivery WHERE image = ?", (id,))
            database.execute(
                "UPDATE image SET state = 'waiting', attempts = 0, code = '', rule = '', changed = ? "
                "WHERE id = ?",
                (time.time(), id),
            )

    def delete(self, id: str) -> None:
        """Note that the files of an image are deleted; its hashes stay, so it is known if it comes again."""
        with self._transaction() as database:
            database.execute("DELETE FROM delivery WHERE image = ?", (id,))
            database.execute(
                "UPDATE image SET state = 'deleted', code = '', rule = '', changed = ? WHERE id = ?",
                (time.time(), id),
            )

    def forget_deleted(self, before: float) -> int:
        """Remove the images whose files were deleted before a time; return how many there were.

        One that comes again is a new one afterwards. The file keeps its size and uses the room again.
        """
        with self._transaction() as database:
            return database.execute(
                "DELETE FROM image WHERE state = 'deleted' AND changed < ?", (before,)
            ).rowcount

    def forget(self, id: str) -> None:
        """Remove an image; one with the same UID is a new one afterwards."""
        with self._transaction() as database:
            database.execute("DELETE FROM delivery WHERE image = ?", (id,))
            database.execute("DELETE FROM image WHERE id = ?", (id,))

    def ids(self, *states: State, before: float | None = None) -> list[str]:
        """Return the images in some states, oldest first.

        Args:
            *states: The states.
            before: Only those whose state changed before this time.
        """
        marks = ", ".join("?" * len(states))
        rows = self._all(
            f"SELECT id FROM image WHERE state IN ({marks}) AND changed < ? ORDER BY number",
            *states,
            float("inf") if before is None else before,
        )
        return [row["id"] for row in rows]

    def counts(self) -> dict[State, int]:
        """Return the number of images in each state that has any."""
        rows = self._all("SELECT state, COUNT(*) AS images FROM image GROUP BY state")
        return {row["state"]: row["images"] for row in rows}

    def open_images(self) -> int:
        """Return how many images wait for their prediction or for the delivery of their results."""
        row = self._one("SELECT COUNT(*) AS images FROM image WHERE state IN ('waiting', 'predicted')")
        return 0 if row is None else int(row["images"])

    def oldest_open(self) -> float | None:
        """Return when the oldest image came that is not settled, in seconds since 1970; None without one."""
        row = self._one("SELECT MIN(received) AS oldest FROM image WHERE state IN ('waiting', 'predicted')")
        return None if row is None else row["oldest"]

    def _settle(self, database: sqlite3.Connection, id: str) -> State:
        """Give an image without pending deliveries its last state."""
        pending = database.execute(
            "SELECT 1 FROM delivery WHERE image = ? AND state = 'pending' LIMIT 1", (id,)
        ).fetchone()
        if pending is not None:
            return "predicted"
        (code,) = database.execute("SELECT code FROM image WHERE id = ?", (id,)).fetchone()
        state: State = "quarantined" if code else "done"
        database.execute("UPDATE image SET state = ?, changed = ? WHERE id = ?", (state, time.time(), id))
        return state

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # Some errors of SQLite, such as a full disk, have ended the transaction already.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _all(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def _one(self, statement: str, *values: object) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._database.execute(statement, values).fetchone()
            return row


def _image(row: sqlite3.Row) -> QueuedImage:
    return QueuedImage(
        id=row["id"],
        content_hash=row["content_hash"],
        source=row["source"],
        state=row["state"],
        attempts=row["attempts"],
        received=row["received"],
        changed=row["changed"],
        rule=row["rule"],
        code=row["code"],
    )
