"""Predicting many images to files, in one or more output formats."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, remove_leftovers
from lexiseg.inference.batches.batch_job import JOB_FILE, BatchJob, write_job
from lexiseg.inference.batches.batch_summary import BatchSummary
from lexiseg.inference.batches.batch_work import BatchWork
from lexiseg.inference.formats.earlier_outputs import earlier_outputs
from lexiseg.inference.formats.file_names import ARCHIVE_FOLDER
from lexiseg.inference.formats.registry import needs_torch, result_files
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import all_images
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.records.partial_results import PartialResults
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, CheckingWriter, ImageWriter, ResumableWriter, Writer
from lexiseg.inference.writers.loading import make_writers, unwritten_formats
from lexiseg.inference.writers.mask import MaskWriter
from lexiseg.inference.writers.records import RecordsWriter
from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.printable import counted
from lexiseg.renamed_arguments import renamed
from lexiseg.runs.run import Run

__all__ = ["DEFAULT_FORMATS", "BatchSummary", "predict_to_files"]

_log = logging.getLogger(__name__)

#: The formats that are written by default.
DEFAULT_FORMATS = ("mask",)


@renamed(writers="formats", targets="inputs")
def predict_to_files(
    predictor: Predictor | Run | str | Path,
    inputs: Sequence[str | Path | Target],
    out: str | Path,
    *,
    formats: Sequence[str | Writer] = DEFAULT_FORMATS,
    on_result: Callable[[str, Prediction | LexisegError], None] | None = None,
    on_resumed: Callable[[str], None] | None = None,
) -> BatchSummary:
    """Segment images and write the predictions.

    `predictions.jsonl`, one line per image, is always written. Outputs that an earlier batch wrote for the
    same images are removed, in all formats. An image that fails is tried once more at the end; if it fails
    again, it gets a line with its error and does not stop the rest. Until the end the lines are in
    `predictions.jsonl.partial`, so that an interrupted batch is never taken for a whole one. The same batch
    then goes on where it stopped: images whose outputs are there, and that were not changed since the batch
    began, are not predicted again. One process at a time writes to `out`, and files that Lexiseg did not
    write there, or that a person changed, are neither replaced nor removed. Memory does not grow with the
    number of images.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options. Its options hold batch size and pixel spacing.
        inputs: Images, folders, quoted glob patterns, tar archives and URLs. Volume files in folders are left
            out; `predict_volumes_to_files` predicts them, and also DICOM series, of which each slice is an
            image here. The log says what else is left out, such as masks of a data set. Targets of
            `find_targets` are taken too, also together with paths; those of `find_images` take less memory.
        out: Output folder, created if needed.
        formats: Output formats: names (`lexiseg.inference.formats.registry` lists them), or writers of your
            own. A batch with a writer that is no `ResumableWriter` always begins anew.
        on_result: Called after each image that is predicted, with what results call it, for progress.
        on_resumed: Called for each image that an interrupted batch had finished.

    Returns:
        Counts, and the failures with their reasons.

    Raises:
        DataError: A path names no image, two images would write the same files, or `out` holds files of
            another origin, or changed ones, which this batch would replace.
        UsageError: A format is unknown or needs another engine, another process writes to `out`, or `out` is
            a file or lies in one.
        RunError: The run cannot be loaded; also a `WeightsError`.
        DiskError: There is no space or no permission; nothing half-written is left.

    Examples:
        >>> import lexiseg
        >>> lexiseg.predict_to_files("runs/chest", ["new-images", "a.png"], "out")  # doctest: +SKIP
        BatchSummary(120 images, 7 flagged, 0 failed, out/predictions.jsonl)
    """
    out = Path(out)
    chosen = _writers(formats)
    predictor = predictor_of(predictor, needs_torch=needs_torch(writer.name for writer in chosen))
    _check(chosen, predictor)
    targets = all_images(inputs, out=out)
    with owned_folder(out, earlier=earlier_outputs) as folder:
        known = (*chosen, *_unwritten(chosen, out))
        _refuse_others(folder, targets, chosen, known)
        batch = _begin(folder, predictor, targets, chosen)
        work = BatchWork(batch, targets, chosen, known)
        with _opened(chosen, batch):
            for result in work.results():
                if isinstance(result, Target):
                    if on_resumed is not None:
                        on_resumed(result.label)
                elif on_result is not None:
                    target, outcome = result
                    on_result(
                        target.label,
                        outcome if isinstance(outcome, LexisegError) else outcome.prediction,
                    )
        folder.remove(out / JOB_FILE)
    return work.counts.summary(results=RecordsWriter.file(out), locked=folder.locked)


def refuse_early(
    predictor: Predictor, targets: Sequence[Target], out: Path, *, formats: Sequence[str | Writer]
) -> None:
    """Refuse a batch that `predict_to_files` would refuse: for a command with other work before it.

    Args:
        predictor: A loaded run.
        targets: The images.
        out: The output folder.
        formats: The output formats.

    Raises:
        LexisegError: As for `predict_to_files`.
    """
    chosen = _writers(formats)
    _check(chosen, predictor)
    with owned_folder(out, earlier=earlier_outputs) as folder:
        _refuse_others(folder, targets, chosen, (*chosen, *_unwritten(chosen, out)))


def _writers(formats: Sequence[str | Writer]) -> tuple[Writer, ...]:
    """Return the writers of a batch; that of the lines is the last, so that a line has its files."""
    others = [writer for writer in make_writers(formats) if writer.name != RecordsWriter.name]
    return make_writers((*others, RecordsWriter.name))


def _check(writers: Sequence[Writer], predictor: Predictor) -> None:
    """Refuse a predictor that a writer cannot serve.

    Raises:
        UsageError: It is one.
    """
    for writer in writers:
        if isinstance(writer, CheckingWriter):
            writer.check(predictor)


def _unwritten(chosen: Sequence[Writer], out: Path) -> list[Writer]:
    """Return a writer per format that is not written now, but was by an earlier batch."""
    return [
        writer
        for writer in unwritten_formats(chosen)
        if isinstance(writer, ImageWriter) and (out / writer.folder).is_dir()
    ]


def _refuse_others(
    folder: OutputFolder, targets: Sequence[Target], chosen: Sequence[Writer], known: Sequence[Writer]
) -> None:
    """Refuse a batch that would replace or remove what Lexiseg did not write; remove what a kill left.

    Raises:
        DataError: There are such files.
    """
    out = folder.path
    remove_leftovers(out / ARCHIVE_FOLDER)
    present = [w for w in known if isinstance(w, ImageWriter) and (out / w.folder).is_dir()]
    for writer in present:
        remove_leftovers(out / writer.folder, recursive=True)
    masks = out / MaskWriter.folder
    if folder.is_new and masks.is_dir() and any(masks.iterdir()):
        raise DataError(
            f"{masks} exists, but {out} holds no results of a prediction: these masks are not from a "
            "prediction, and masks of this prediction would be mixed with them. Choose another --out folder.",
            code="LEX-DATA-101",
        )

    def files(*, written: bool) -> Iterator[Path]:
        for writer in present:
            if (writer in chosen) is written:
                yield from (writer.file(target, out) for target in targets)

    def results() -> Iterator[Path]:
        yield from (out / name for name in (*result_files(), JOB_FILE))
        yield from files(written=True)

    folder.refuse_others(results(), files(written=False))


def _begin(
    folder: OutputFolder, predictor: Predictor, targets: Sequence[Target], writers: Sequence[Writer]
) -> Batch:
    """Return a batch that begins, or that goes on where an interrupted one stopped.

    Raises:
        DiskError: There is no space or no permission.
    """
    formats = tuple(writer.name for writer in writers)
    job, partial = BatchJob.of(predictor, formats), RecordsWriter.partial_file(folder.path)
    batch = Batch(folder=folder, predictor=predictor, formats=formats, targets=targets)
    can_resume = all(isinstance(writer, ResumableWriter) for writer in writers)
    with disk_errors(partial):
        if partial.is_file():
            earlier, earlier_job = PartialResults(partial), BatchJob.read(folder.path)
            if can_resume and earlier_job == job:
                return dataclasses.replace(batch, earlier=earlier)
            if len(earlier):
                lines = counted(len(earlier), "line is", "lines are")
                why = job.difference(earlier_job) or "an output format cannot go on with earlier results"
                _log.warning("%s: %s discarded, and the images predicted again: %s.", partial, lines, why)
        # The lines go first, so that they are never those of another job.
        partial.unlink(missing_ok=True)
    for name in result_files():
        folder.remove(folder.path / name)
    for archive in sorted((folder.path / ARCHIVE_FOLDER).glob("*.tar")):
        folder.remove(archive)
    copies = (target.image for target in targets if target.copied_from is not None)
    write_job(folder, folder.path / JOB_FILE, job, copies)
    return batch


@contextmanager
def _opened(writers: Sequence[Writer], batch: Batch) -> Iterator[None]:
    """Open writers for a batch and close all of them after it, whatever happens.

    Once a writer cannot be closed, the batch is not finished for those after it: so the lines keep the name
    of an unfinished batch, and the same command goes on with them.
    """
    opened: list[Writer] = []
    finished = False
    try:
        for writer in writers:
            writer.open(batch)
            opened.append(writer)
        yield
        finished = True
    finally:
        failures: list[BaseException] = []
        for writer in opened:
            try:
                writer.close(batch, finished=finished and not failures)
            except BaseException as error:
                failures.append(error)
        if failures:
            raise failures[0]
