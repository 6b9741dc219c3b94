"""Records: one line of JSON per image, `predictions.jsonl`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from lexiseg.errors import LexisegError
from lexiseg.files import disk_errors, private_opener
from lexiseg.inference.formats.file_names import PARTIAL_FILE, RESULTS_FILE
from lexiseg.inference.formats.registry import RECORDS
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.records.partial_results import PartialResults
from lexiseg.inference.records.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.mask import MaskWriter
from lexiseg.printable import printable_json


class RecordsWriter:
    """Writes `predictions.jsonl`, a `PredictionRecord` or a `FailureRecord` per line.

    Until the batch is finished the lines are in `predictions.jsonl.partial`, so that an interrupted batch is
    never taken for a whole one. There they stand in the order in which images are written; in the finished
    file they stand in the order of the batch.
    """

    name = RECORDS

    def __init__(self) -> None:
        self._lines: TextIO | None = None
        self._expected: Iterator[Target] | None = None
        self._in_order = True

    @staticmethod
    def file(out: Path) -> Path:
        """Return the file of a finished batch."""
        return out / RESULTS_FILE

    @staticmethod
    def partial_file(out: Path) -> Path:
        """Return the file of a batch that is not finished."""
        return out / PARTIAL_FILE

    def open(self, batch: Batch) -> None:
        """Remove the file of an earlier batch, and begin a new one, or go on with an interrupted one.

        Raises:
            DiskError: There is no space or no permission.
        """
        partial = self.partial_file(batch.out)
        with disk_errors(partial):
            if batch.earlier is None:
                partial.unlink(missing_ok=True)
            # Line by line, so that a killed batch leaves whole lines. Bytes of a name that are not UTF-8
            # become an escape of JSON.
            self._lines = open(  # noqa: SIM115
                partial, "a", buffering=1, encoding="utf-8", errors="backslashreplace", opener=private_opener
            )
            if batch.earlier is not None:
                self._lines.truncate(batch.earlier.whole_bytes)
        if batch.earlier is None:
            batch.folder.note(partial)
        batch.folder.remove(self.file(batch.out))
        self._expected = None if batch.targets is None else iter(batch.targets)
        self._in_order = batch.earlier is None

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: `open` removes the file of an earlier batch."""

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return whether the line names the outputs of the image; see `ResumableWriter`."""
        return record.name == target.name.as_posix()

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the line of one image."""
        has_mask = MaskWriter.name in batch.formats
        mask = MaskWriter().file(image.target, Path()).as_posix() if has_mask else None
        self._write(image.target, image.record(mask))

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Write the line of an image that could not be read."""
        said = target.named(str(error))
        self._write(target, FailureRecord(image=target.label, error=said, code=error.code))

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Close the file; a finished one gets its name."""
        assert self._lines is not None
        partial = self.partial_file(batch.out)
        with disk_errors(partial):
            self._lines.close()
        if not finished:
            return
        if self._in_order:
            batch.folder.rename(partial, self.file(batch.out))
            return
        assert batch.targets is not None
        with batch.folder.writing(self.file(batch.out)) as beside, open(beside, "wb") as file:
            file.writelines(PartialResults(partial).ordered(target.label for target in batch.targets))
        batch.folder.discard(partial)

    def _write(self, target: Target, record: PredictionRecord | FailureRecord) -> None:
        assert self._lines is not None
        if self._expected is not None and self._in_order:
            self._in_order = next(self._expected).label == target.label
        with disk_errors(Path(self._lines.name)):
            self._lines.write(printable_json(record.model_dump(mode="json")) + "\n")
