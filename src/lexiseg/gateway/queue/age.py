"""How far the queue of a state folder was, in a file of its own: an older copy of the queue is noticed.

An older queue does not know the images that came after it, so `Spool.tidy` would remove them, and images that
were done would be predicted and sent again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from lexiseg.errors import DataError, DiskError
from lexiseg.gateway.queue.durable_queue import Queue
from lexiseg.json_records import FileRecord, read_record, write_record
from lexiseg.printable import counted

#: Name of the file in the state folder.
AGE_FILE = "queue-age.json"


class QueueAge(FileRecord):
    """How far a queue was; neither number ever falls.

    Attributes:
        schema_version: Version of this schema.
        images: Number of images that have come to it.
        starts: Number of times it was opened.
    """

    images: int
    starts: int


def begin_queue(queue: Queue, folder: Path, *, may_be_new: bool) -> None:
    """Refuse a queue that is older than the last one of its folder, and count this start.

    Args:
        queue: The queue.
        folder: The state folder.
        may_be_new: Whether a queue without images may begin here, as there are no files of another one.

    Raises:
        DataError: It is older, or the file of its age is damaged.
    """
    file, now = folder / AGE_FILE, _age(queue)
    is_new = may_be_new and (now.images, now.starts) == (0, 0)
    if file.exists() and not is_new:
        known = read_record(
            file, QueueAge, remedy="If the queue beside it is the newest one, remove the file."
        )
        if now.images < known.images or now.starts < known.starts:
            raise DataError(
                f"The queue in {folder} is an older copy: {_said(now)} are in it, and {_said(known)} were "
                f"noted in {file.name}. It does not know what came since then; nothing is deleted. Put the "
                "newest queue back. Without it, move the queue and the folders `received`, `results` and "
                "`quarantine` to another place, start again, and put the images of `received` and "
                "`quarantine` into a source.",
                code="LEX-DATA-2031",
            )
    # A gateway also starts with a full disk, and says so; the note of before is then still true.
    with contextlib.suppress(DiskError, sqlite3.OperationalError):
        queue.count_start()
        note_age(queue, folder)


def note_age(queue: Queue, folder: Path) -> None:
    """Write how far the queue is; the queue on the disk is never behind.

    Raises:
        DiskError: There is no space or no permission.
    """
    write_record(folder / AGE_FILE, _age(queue))


def _said(age: QueueAge) -> str:
    return f"{counted(age.images, 'image')} and {counted(age.starts, 'start')}"


def _age(queue: Queue) -> QueueAge:
    images, starts = queue.age()
    return QueueAge(images=images, starts=starts)
