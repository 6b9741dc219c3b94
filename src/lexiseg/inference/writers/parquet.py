"""Parquet: all predictions as one table, `predictions.parquet`, for pandas, DuckDB, Spark and others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lexiseg.chunks import chunks
from lexiseg.errors import LexisegError
from lexiseg.inference.formats.file_names import PARTIAL_FILE
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.records.partial_results import PartialResults
from lexiseg.inference.records.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.structured_text import parse_json

#: Rows that are in memory at a time.
_ROWS = 5000


class ParquetWriter:
    """Writes `predictions.parquet` at the end of a batch, a row per image, from the lines of the batch.

    Each class has a column with its area, and each factor of the vocabulary has columns with the retrieved
    phrase, its confidence and the measured phrase. A failed image has its error in its row. Bytes of a file
    name that are not UTF-8 are escapes, as in the lines.
    """

    name = "parquet"

    @staticmethod
    def file(out: Path) -> Path:
        """Return the file of a finished batch."""
        return out / "predictions.parquet"

    def open(self, batch: Batch) -> None:
        """Remove the table of an earlier batch.

        Raises:
            DiskError: There is no permission.
        """
        batch.folder.remove(self.file(batch.out))

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: `open` removes the table of an earlier batch."""

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Do nothing: the rows are made at the end."""

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return True: the rows are made at the end, of all images."""
        return True

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Do nothing: the rows are made at the end."""

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Write the table of a finished batch.

        Raises:
            DiskError: There is no space or no permission.
        """
        if not finished:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        assert batch.targets is not None
        run = batch.predictor.run
        vocabulary = run.spoken_vocabulary
        factors = () if vocabulary is None else tuple(factor.name for factor in vocabulary.factors)
        schema = _schema(run.class_names[1:], factors)
        lines = PartialResults(batch.out / PARTIAL_FILE).ordered(target.label for target in batch.targets)
        with batch.folder.writing(self.file(batch.out)) as beside, pq.ParquetWriter(beside, schema) as table:
            for some in chunks(_rows(lines), _ROWS):
                table.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))


def _schema(classes: Iterable[str], factors: Iterable[str]) -> Any:
    """Return the columns of a run."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    columns = {"image": text, "name": text, "mask": text, "height": pa.int32(), "width": pa.int32()}
    for name in classes:
        columns |= {f"area_px_{name}": pa.int64(), f"area_mm2_{name}": number}
    columns["side"] = text
    for name in factors:
        columns |= {f"word_{name}": text, f"confidence_{name}": number, f"measured_{name}": text}
    columns |= {
        "agreement": number,
        "flagged": pa.bool_(),
        "reasons": pa.list_(text),
        "expected_dice": number,
        "unlike_training_images": pa.list_(text),
        "engine": text,
        "error": text,
        "code": text,
    }
    return pa.schema(list(columns.items()))


def _rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        content = parse_json(line)
        if "error" in content:
            failure = FailureRecord.model_validate(content)
            row = {"image": failure.image, "error": failure.error, "code": failure.code}
        else:
            row = _row(PredictionRecord.model_validate(content))
        yield {column: _storable(value) for column, value in row.items()}


def _storable(value: Any) -> Any:
    """Return a value whose texts can be stored: bytes of a file name that are not UTF-8 become escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return [_storable(each) for each in value] if isinstance(value, list | tuple) else value


def _row(record: PredictionRecord) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image": record.image,
        "name": record.name,
        "mask": record.mask,
        "height": record.size[0],
        "width": record.size[1],
        "side": record.side,
        "agreement": record.agreement,
        "flagged": record.flagged,
        "reasons": record.reasons,
        "expected_dice": record.expected_dice,
        "unlike_training_images": record.unlike_training_images,
        "engine": record.engine,
    }
    row |= {f"area_px_{name}": area for name, area in record.area_px.items()}
    row |= {f"area_mm2_{name}": area for name, area in (record.area_mm2 or {}).items()}
    for word in record.words:
        row |= {f"word_{word.factor}": word.phrase, f"confidence_{word.factor}": word.confidence}
    return row | {f"measured_{name}": phrase for name, phrase in (record.measured or {}).items()}
