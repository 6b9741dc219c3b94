"""Records: one line of JSON per image, `predictions.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from lexiseg.errors import LexisegError
from lexiseg.files import disk_errors, private_opener
from lexiseg.inference.predictions_file import PARTIAL_FILE, RESULTS_FILE, FailureRecord, PredictionRecord
from lexiseg.inference.writers.base import Batch, PredictedImage, Target
from lexiseg.inference.writers.mask import MaskWriter
from lexiseg.printable import printable_json


class RecordsWriter:
    """Writes `predictions.jsonl`, a `PredictionRecord` or a `FailureRecord` per line.

    Until the batch is finished the lines are in `predictions.jsonl.partial`, so that an interrupted batch is
    never taken for a whole one.
    """

    name = "records"

    def __init__(self) -> None:
        self._lines: TextIO | None = None

    @staticmethod
    def file(out: Path) -> Path:
        """Return the file of a finished batch."""
        return out / RESULTS_FILE

    @staticmethod
    def partial_file(out: Path) -> Path:
        """Return the file of a batch that is not finished."""
        return out / PARTIAL_FILE

    def open(self, batch: Batch) -> None:
        """Remove the file of an earlier batch, and begin a new one.

        Raises:
            DiskError: There is no space or no permission.
        """
        partial = self.partial_file(batch.out)
        with disk_errors(partial):
            partial.unlink(missing_ok=True)
            # Line by line, so that a killed batch leaves whole lines. Bytes of a name that are not UTF-8
            # become an escape of JSON.
            self._lines = open(  # noqa: SIM115
                partial, "w", buffering=1, encoding="utf-8", errors="backslashreplace", opener=private_opener
            )
        batch.folder.note(partial)
        batch.folder.remove(self.file(batch.out))

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: `open` removes the file of an earlier batch."""

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the line of one image."""
        has_mask = MaskWriter.name in batch.formats
        target = image.target
        record = PredictionRecord.of(
            image.prediction,
            image=target.label,
            name=target.name.as_posix(),
            mask=MaskWriter().file(target, Path()).as_posix() if has_mask else None,
            exif_orientation=image.exif_orientation,
            not_written={name: target.named(why) for name, why in image.refused.items()},
        )
        self._write(record)

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Write the line of an image that could not be read."""
        self._write(FailureRecord(image=target.label, error=target.named(str(error)), code=error.code))

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Close the file; a finished one gets its name."""
        assert self._lines is not None
        partial = self.partial_file(batch.out)
        with disk_errors(partial):
            self._lines.close()
        if finished:
            batch.folder.rename(partial, self.file(batch.out))

    def _write(self, record: PredictionRecord | FailureRecord) -> None:
        assert self._lines is not None
        self._lines.write(printable_json(record.model_dump(mode="json")) + "\n")
