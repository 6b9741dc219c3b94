"""Records: one line of JSON per image, `predictions.jsonl`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TextIO

from lexiseg.data.decode import image_orientation
from lexiseg.errors import LexisegError
from lexiseg.inference.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.writers.base import Batch, PredictedImage, Target
from lexiseg.inference.writers.mask import MaskWriter

RESULTS_FILE = "predictions.jsonl"


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
        return out / f"{RESULTS_FILE}.partial"

    def open(self, batch: Batch) -> None:
        """Remove the file of an earlier batch, and begin a new one."""
        self.file(batch.out).unlink(missing_ok=True)
        self._lines = self.partial_file(batch.out).open("w", encoding="utf-8")

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: `open` removes the file of an earlier batch."""

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the line of one image."""
        has_mask = MaskWriter.name in batch.formats
        mask = f"{MaskWriter.folder}/{image.target.name}{MaskWriter.suffix}" if has_mask else None
        file = image.target.image
        record = PredictionRecord.of(
            image.prediction, image=file, mask=mask, exif_orientation=image_orientation(file)
        )
        self._write(record)

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Write the line of an image that could not be read."""
        self._write(FailureRecord(image=str(target.image), error=str(error), code=error.code))

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Close the file; a finished one gets its name."""
        assert self._lines is not None
        self._lines.close()
        if finished:
            os.replace(self.partial_file(batch.out), self.file(batch.out))

    def _write(self, record: PredictionRecord | FailureRecord) -> None:
        assert self._lines is not None
        self._lines.write(json.dumps(record.model_dump(mode="json"), ensure_ascii=False) + "\n")
