"""Shards: parts of a large job, each in a folder of its own, and their joined results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.inference.batches.batch import DEFAULT_FORMATS, predict_to_files
from lexiseg.inference.batches.batch_job import BatchJob
from lexiseg.inference.batches.batch_summary import BatchSummary
from lexiseg.inference.formats.file_names import RESULTS_FILE
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_list import SHARD_FOLDER, Shard, TargetList
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.remote.file_systems import is_url
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, PredictedImage, Writer
from lexiseg.json_records import FileRecord, read_record, record_text
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.printable import brief, counted, printable_json
from lexiseg.structured_text import UnusableTextError, parse_json

#: Name of the file in the folder of a shard.
SHARD_FILE = "shard.json"


class ShardRecord(FileRecord):
    """A finished shard: `shard.json`.

    Attributes:
        schema_version: Version of this schema.
        number: Number of the shard, from 1.
        count: Number of shards.
        images: Number of images of all shards together.
        names_sha256: SHA-256 of the names of the outputs of all these images.
        job: How the images were predicted.
    """

    number: int
    count: int
    images: int
    names_sha256: str
    job: BatchJob


class ShardWriter:
    """Writes `shard.json` at the end of a shard."""

    name = "shard"

    def __init__(self, shard: Shard, targets: TargetList) -> None:
        self._shard, self._images = shard, len(targets)
        names = hashlib.sha256()
        for name in targets.names():
            names.update(name.encode("utf-8", "surrogatepass") + b"\0")
        self._names_sha256 = names.hexdigest()

    def open(self, batch: Batch) -> None:
        """Remove the record of an earlier batch.

        Raises:
            DiskError: There is no permission.
        """
        batch.folder.remove(batch.out / SHARD_FILE)

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Do nothing: `open` removes the record of an earlier batch."""

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Do nothing: the record is written at the end."""

    def is_whole(self, target: Target, record: PredictionRecord, batch: Batch) -> bool:
        """Return True: an image has no output here."""
        return True

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        """Do nothing: failures are in the lines of the shard."""

    def close(self, batch: Batch, *, finished: bool) -> None:
        """Write the record of a finished shard.

        Raises:
            DiskError: There is no space or no permission.
        """
        if finished:
            record = ShardRecord(
                number=self._shard.number,
                count=self._shard.count,
                images=self._images,
                names_sha256=self._names_sha256,
                job=BatchJob.of(batch.predictor, batch.formats),
            )
            batch.folder.write_text(batch.out / SHARD_FILE, record_text(record))


def predict_shard(
    predictor: Predictor,
    targets: TargetList,
    out: str | Path,
    *,
    shard: Shard,
    formats: Sequence[str | Writer] = DEFAULT_FORMATS,
    on_result: Callable[[str, Prediction | LexisegError], None] | None = None,
    on_resumed: Callable[[str], None] | None = None,
) -> BatchSummary:
    """Segment one part of many images into a folder of its own, such as `OUT/shard-03-of-16`.

    The parts are disjoint, and together they are all images. `join_shards` makes one list of their results.

    Args:
        predictor: A loaded run.
        targets: All images, from `find_images`.
        out: The folder for all shards.
        shard: The part to predict.
        formats: As for `predict_to_files`.
        on_result: As for `predict_to_files`.
        on_resumed: As for `predict_to_files`.

    Raises:
        LexisegError: As for `predict_to_files`.
    """
    return predict_to_files(
        predictor,
        targets.chosen(shard.holds_name),
        Path(out) / shard.folder,
        formats=(*formats, ShardWriter(shard, targets)),
        on_result=on_result,
        on_resumed=on_resumed,
    )


@dataclass(frozen=True, kw_only=True)
class JoinedShards:
    """The joined results of all shards.

    Attributes:
        shards: Number of shards.
        images: Number of images, failures included.
        failed: Number of images that could not be read.
        results: The file with one line per image.
    """

    shards: int
    images: int
    failed: int
    results: Path

    def __repr__(self) -> str:
        return brief(
            self,
            counted(self.shards, "shard"),
            counted(self.images, "image"),
            f"{self.failed} failed",
            str(self.results),
        )


def join_shards(out: str | Path) -> JoinedShards:
    """Join the results of all shards in a folder to `OUT/predictions.jsonl`; their other files stay.

    The lines keep their order within a shard, and those of shard 1 come first. The masks and archives
    that they name are those in the folders of the shards.

    Args:
        out: The folder that holds the folders of the shards: the --out of `lexiseg predict --shard`.

    Returns:
        Counts, and the file with the lines of all shards.

    Raises:
        DataError: A shard is missing, not finished or damaged, or shards are of different jobs or images.
        UsageError: Another process writes to the folder, or it is at a URL.
        DiskError: There is no space or no permission.

    Examples:
        >>> import lexiseg
        >>> lexiseg.join_shards("results")  # doctest: +SKIP
        JoinedShards(16 shards, 100,000 images, 2 failed, results/predictions.jsonl)
    """
    if is_url(str(out)):
        raise UsageError(
            f"{out} is a URL, and shards are joined in a folder of this computer. Copy the folders of the "
            "shards into one folder here, and give that folder.",
            code="LEX-USE-1834",
        )
    out = Path(out)
    records = _finished_shards(out)
    images = failed = 0
    with owned_folder(out) as folder:
        results = out / RESULTS_FILE
        folder.refuse_others([results])
        with folder.writing(results) as beside, open(beside, "w", encoding="utf-8") as file:
            for record in records:
                for line in _lines(out / Shard(number=record.number, count=record.count).folder):
                    file.write(printable_json(line.model_dump(mode="json")) + "\n")
                    images += 1
                    failed += isinstance(line, FailureRecord)
            if images != records[0].images:
                raise DataError(
                    f"The shards in {out} hold {counted(images, 'line')}, but were made of "
                    f"{counted(records[0].images, 'image')}. A {RESULTS_FILE} was changed or cut. Predict "
                    "the shards again.",
                    code="LEX-DATA-1282",
                )
    return JoinedShards(shards=len(records), images=images, failed=failed, results=results)


def _finished_shards(out: Path) -> list[ShardRecord]:
    """Return the records of all shards of a folder, in their order.

    Raises:
        DataError: They are not the whole of one job.
    """
    folders = sorted(path for path in out.glob("shard-*") if SHARD_FOLDER.fullmatch(path.name))
    counts = sorted({int(match[2]) for path in folders if (match := SHARD_FOLDER.fullmatch(path.name))})
    if len(counts) != 1:
        found = "none" if not counts else f"shards of {' and of '.join(map(str, counts))}"
        raise DataError(
            f"Expected the shards of one job in {out}, such as shard-1-of-4; found {found}. Give the --out "
            "folder of `lexiseg predict --shard`.",
            code="LEX-DATA-1283",
        )
    shards = [Shard(number=number, count=counts[0]) for number in range(1, counts[0] + 1)]
    missing = [str(shard) for shard in shards if not _is_finished(out / shard.folder)]
    if missing:
        raise DataError(
            f"Missing or not finished: {len(missing)} of {counted(counts[0], 'shard')} in {out}: "
            f"{', '.join(missing[:20])}. Run `lexiseg predict` with --shard for each of them; a shard that "
            "was interrupted goes on where it stopped.",
            code="LEX-DATA-1284",
        )
    remedy = "Predict this shard again."
    records = [read_record(out / shard.folder / SHARD_FILE, ShardRecord, remedy=remedy) for shard in shards]
    for record in records[1:]:
        _refuse_different(out, records[0], record)
    return records


def _is_finished(folder: Path) -> bool:
    return (folder / SHARD_FILE).is_file() and (folder / RESULTS_FILE).is_file()


def _refuse_different(out: Path, first: ShardRecord, other: ShardRecord) -> None:
    """Refuse shards that are not parts of the same job.

    Raises:
        DataError: Run, options or images differ.
    """
    jobs = first.job.model_dump(), other.job.model_dump()
    differing = [name for name, value in jobs[0].items() if value != jobs[1][name]]
    if (first.images, first.names_sha256) != (other.images, other.names_sha256):
        differing.append("images")
    if differing:
        raise DataError(
            f"Shard {other.number} in {out} is not of the same job as shard {first.number}: they differ in "
            f"{', '.join(differing)}. Predict all shards with the same run, options and images.",
            code="LEX-DATA-1285",
        )


def _lines(folder: Path) -> Iterator[PredictionRecord | FailureRecord]:
    """Yield the lines of a shard; outputs are named from the folder above.

    Raises:
        DataError: A line is damaged.
    """
    with open(folder / RESULTS_FILE, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                content: Any = parse_json(line)
                if "error" in content:
                    yield FailureRecord.model_validate(content)
                    continue
                record = PredictionRecord.model_validate(content)
            except (UnusableTextError, ValidationError, TypeError) as error:
                raise DataError(
                    f"{folder / RESULTS_FILE}, line {number} is damaged. Predict this shard again.",
                    code="LEX-DATA-1286",
                ) from error
            yield record.in_folder(folder.name)
