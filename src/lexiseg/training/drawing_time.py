"""The time before the first step in which labellers or teachers draw masks, kept while it is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexiseg.json_records import Record, read_record, write_record

#: In the run folder: weights, states and masks of labellers or teachers, until the training ends.
DRAWING_FOLDER = "teachers"

_FILE = "time.json"


class DrawingTimeRecord(Record):
    """The time so far.

    Attributes:
        seconds: Wall-clock seconds.
    """

    seconds: float


class DrawingTime:
    """The time that the labellers or teachers of one training take: to be trained, and to draw masks.

    Args:
        folder: The folder of their weights and masks; the time is kept there.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the time inside, also where an error or a signal ends it; not that of a killed process."""
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = (self.seconds or 0.0) + time.monotonic() - started
            write_record(self._file, DrawingTimeRecord(seconds=round(seconds, 3)))

    @property
    def seconds(self) -> float | None:
        """The seconds so far; None where no masks are drawn.

        Raises:
            DataError: Their file is damaged.
        """
        if not self._file.is_file():
            return None
        return read_record(self._file, DrawingTimeRecord, remedy="Delete the file, and resume.").seconds

    @property
    def minutes(self) -> float | None:
        """The minutes so far; None where no masks are drawn."""
        seconds = self.seconds
        return None if seconds is None else round(seconds / 60, 2)
