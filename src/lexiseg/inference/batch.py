"""Predicting many images to files, in one or more output formats."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.decode import image_orientation
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import remove_leftovers
from lexiseg.inference.earlier_outputs import earlier_outputs
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Target, Writer
from lexiseg.inference.writers.mask import MaskWriter
from lexiseg.inference.writers.records import RecordsWriter
from lexiseg.inference.writers.registry import make_writers, unwritten_formats
from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.printable import brief

#: The formats that are written by default.
DEFAULT_FORMATS = ("mask",)


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """Counts and failures of a batch.

    Attributes:
        done: Number of images segmented.
        flagged: Number of them that a person should look at.
        failed: Images that could not be read, with the reason.
        results: The file with one line per image.
        turned: Number of images segmented that viewers rotate or mirror because of their EXIF orientation.
        locked: Whether other processes were kept out of the folder; False where the disk supports no locks.
        assumptions: What was assumed of DICOM files, a sentence per kind, with the number of images.
        refused: Outputs that were not written although their image was segmented: image, format and reason.
        unlike: Number of images segmented that are unlike the training images of the run.
        sides_unknown: Number of images segmented of which the side of their words is unknown.
    """

    done: int
    flagged: int
    failed: tuple[tuple[Path, str], ...]
    results: Path
    turned: int = 0
    locked: bool = True
    assumptions: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[Path, str, str], ...] = ()
    unlike: int = 0
    sides_unknown: int = 0

    def __repr__(self) -> str:
        return brief(
            self,
            f"{self.done} images",
            f"{self.flagged} flagged",
            f"{len(self.failed)} failed",
            str(self.results),
        )


def predict_to_files(
    predictor: Predictor,
    targets: Sequence[Target],
    out: str | Path,
    *,
    writers: Sequence[str | Writer] = DEFAULT_FORMATS,
    on_result: Callable[[Path, Prediction | LexisegError], None] | None = None,
) -> BatchSummary:
    """Segment images and write the predictions.

    `predictions.jsonl`, one line per image, is always written. Outputs that an earlier batch wrote for the
    same images are removed, in all formats. One unreadable image gets a line with its error
    and does not stop the rest. Until the end the lines are in `predictions.jsonl.partial`, so that an
    interrupted batch is never taken for a whole one. One process at a time writes to `out`, and files that
    Lexiseg did not write there, or that a person changed, are neither replaced nor removed.

    Args:
        predictor: A loaded run; its options hold batch size and pixel spacing.
        targets: From `find_targets`.
        out: Output folder, created if needed.
        writers: Output formats: names (`lexiseg.inference.writers.registry` lists them), or writers of your
            own.
        on_result: Called after each image, for progress.

    Returns:
        Counts, and the failures with their reasons.

    Raises:
        DataError: `out` holds files of another origin, or changed ones, which this batch would replace.
        UsageError: A format is unknown, another process writes to `out`, or `out` is a file or lies in one.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    out = Path(out)
    # Last, so that a line is written for files that are there.
    others = [writer for writer in make_writers(writers) if writer.name != RecordsWriter.name]
    chosen = make_writers((*others, RecordsWriter.name))
    known = (*chosen, *unwritten_formats(chosen))
    by_image = {target.image: target for target in targets}
    done = flagged = turned = unlike = sides_unknown = 0
    failed: list[tuple[Path, str]] = []
    assumed: Counter[str] = Counter()
    refused: list[tuple[Path, str, str]] = []
    with owned_folder(out, earlier=earlier_outputs) as folder:
        _refuse_others(folder, targets, chosen, known)
        batch = Batch(folder=folder, predictor=predictor, formats=tuple(writer.name for writer in chosen))

        def save(path: Path, result: Prediction | LexisegError) -> PredictedImage | LexisegError:
            return _write(by_image[path], result, batch, chosen, known)

        with _opened(chosen, batch):
            predicted = predictor.predict_paths([target.image for target in targets])
            # Closed before the writers are, so that none is called after its end.
            with closing(_saved(predicted, save, depth=2 * predictor.options.batch_size)) as saved:
                for path, result in saved:
                    if isinstance(result, LexisegError):
                        failed.append((path, by_image[path].named(str(result))))
                    else:
                        done += 1
                        flagged += result.prediction.flagged
                        unlike += bool(result.prediction.unlike_training_images)
                        turned += result.exif_orientation != 1
                        facts = result.prediction.facts
                        assumed.update(() if facts is None else facts.assumptions)
                        sides_unknown += facts is not None and not facts.knows_sides
                        named = by_image[path].named
                        refused.extend((path, name, named(why)) for name, why in result.refused.items())
                    if on_result is not None:
                        on_result(path, result if isinstance(result, LexisegError) else result.prediction)
    return BatchSummary(
        done=done,
        flagged=flagged,
        failed=tuple(failed),
        results=RecordsWriter.file(out),
        turned=turned,
        locked=folder.locked,
        assumptions=tuple(assumed.items()),
        refused=tuple(refused),
        unlike=unlike,
        sides_unknown=sides_unknown,
    )


def _refuse_others(
    folder: OutputFolder, targets: Sequence[Target], chosen: Sequence[Writer], known: Sequence[Writer]
) -> None:
    """Refuse a batch that would replace or remove what Lexiseg did not write; remove what a kill left.

    Raises:
        DataError: There are such files.
    """
    out = folder.path
    for writer in known:
        if isinstance(writer, ImageWriter):
            remove_leftovers(out / writer.folder, recursive=True)
    masks = out / MaskWriter.folder
    if folder.is_new and masks.is_dir() and any(masks.iterdir()):
        raise DataError(
            f"{masks} exists, but {out} holds no results of a prediction: these masks are not from a "
            "prediction, and masks of this prediction would be mixed with them. Choose another --out folder.",
            code="LEX-DATA-101",
        )
    written = [RecordsWriter.file(out)]
    removed: list[Path] = []
    for writer in known:
        if isinstance(writer, ImageWriter):
            files = [writer.file(target, out) for target in targets]
            (written if writer in chosen else removed).extend(files)
    folder.refuse_others(written, removed)


@contextmanager
def _opened(writers: Sequence[Writer], batch: Batch) -> Iterator[None]:
    """Open writers for a batch and close them after it, whatever happens."""
    opened: list[Writer] = []
    finished = False
    try:
        for writer in writers:
            writer.open(batch)
            opened.append(writer)
        yield
        finished = True
    finally:
        for writer in opened:
            writer.close(batch, finished=finished)


def _write(
    target: Target,
    result: Prediction | LexisegError,
    batch: Batch,
    writers: Sequence[Writer],
    known: Sequence[Writer],
) -> PredictedImage | LexisegError:
    """Write one image in every format, after removing its outputs of an earlier batch.

    Returns:
        The image as it was written, or why it could not be: its file cannot be read, or not any more, or
        another file is in the place of an output.
    """
    # First, so that an interruption leaves a mask without a card, not one with the card of another mask.
    for writer in known:
        writer.remove_stale(target, batch)
    if isinstance(result, Prediction):
        try:
            orientation = image_orientation(target.image)
            view = batch.predictor.options.view
            image = PredictedImage(target=target, prediction=result, exif_orientation=orientation, view=view)
            for writer in writers:
                writer.write(image, batch)
            return image
        except DataError as error:
            result = error
    # Nothing is written of this image, so nothing of it stays in any format.
    nothing = dataclasses.replace(batch, formats=())
    for writer in known:
        writer.remove_stale(target, nothing)
    for writer in writers:
        writer.write_failure(target, result, batch)
    return result


def _saved(
    predicted: Iterable[tuple[Path, Prediction | LexisegError]],
    save: Callable[[Path, Prediction | LexisegError], PredictedImage | LexisegError],
    *,
    depth: int,
) -> Generator[tuple[Path, PredictedImage | LexisegError], None, None]:
    """Yield each image once its files are written, by a background thread while the network works."""
    waiting: deque[tuple[Path, Future[PredictedImage | LexisegError]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="lexiseg-write") as pool:
        try:
            for path, result in predicted:
                waiting.append((path, pool.submit(save, path, result)))
                if len(waiting) > depth:
                    yield _finished(waiting.popleft())
            while waiting:
                yield _finished(waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def _finished(
    item: tuple[Path, Future[PredictedImage | LexisegError]],
) -> tuple[Path, PredictedImage | LexisegError]:
    path, future = item
    return path, future.result()
