"""The images of a batch on their way to files: fetched, predicted, written, and tried twice."""

from __future__ import annotations

import dataclasses
import os
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.batch_job import JOB_FILE
from lexiseg.inference.batch_summary import BatchCounts
from lexiseg.inference.read_ahead import read_ahead
from lexiseg.inference.result import Prediction
from lexiseg.inference.staging import FETCHES, named, stage
from lexiseg.inference.writers.base import Batch, PredictedImage, ResumableWriter, Target, Writer

#: What happened to an image: it was written, or why it could not be.
Outcome = PredictedImage | LexisegError

#: The position of an image, the image, its file (None if it could not be fetched), and what became of it.
Predicted = tuple[int, Target, Path | None, Prediction | LexisegError]

# Predictions that are handed to the writing thread at a time: each handing over costs about 0.1 ms of
# processor time.
_WRITTEN_TOGETHER = 8


@dataclass
class BatchWork:
    """The images of a batch on their way to files.

    Attributes:
        batch: The batch.
        targets: Its images.
        chosen: The writers of the batch.
        known: Those of all formats whose earlier files are removed.
        counts: What is done so far.
    """

    batch: Batch
    targets: Sequence[Target]
    chosen: Sequence[Writer]
    known: Sequence[Writer]
    counts: BatchCounts = field(default_factory=BatchCounts)

    def results(self) -> Iterator[Target | tuple[Target, Outcome]]:
        """Yield each image that an interrupted batch had finished, and each other one with its outcome."""
        resumed = deque[Target]()
        failed = array("Q")
        # Closed before the writers are, so that none is called after its end.
        with closing(self._written(self._unfinished(resumed), is_last=False)) as first_try:
            for position, outcome in first_try:
                while resumed:
                    yield resumed.popleft()
                if isinstance(outcome, LexisegError):
                    failed.append(position)
                else:
                    self.counts.add(outcome, second_try=False)
                    yield outcome.target, outcome
        yield from resumed
        with closing(self._written(failed, is_last=True)) as second_try:
            for position, outcome in second_try:
                target = self.targets[position]
                if isinstance(outcome, LexisegError):
                    self.counts.failed.append((Path(target.label), target.named(str(outcome))))
                else:
                    self.counts.add(outcome, second_try=True)
                yield target, outcome

    def _unfinished(self, resumed: deque[Target]) -> Iterator[int]:
        """Yield the positions of the images to predict; count the finished ones and add them to `resumed`."""
        earlier = self.batch.earlier
        begun = (self.batch.out / JOB_FILE).stat().st_mtime_ns if earlier is not None else 0
        for position, target in enumerate(self.targets):
            record = None if earlier is None else earlier.prediction(target)
            file = target.image if target.origin is None else target.origin.local_file
            if record is None or (file is not None and _changed_after(file, begun)):
                yield position
            elif all(
                isinstance(writer, ResumableWriter) and writer.is_whole(target, record, self.batch)
                for writer in self.chosen
            ):
                self.counts.add_finished(record)
                resumed.append(target)
            else:
                yield position

    def _written(
        self, positions: Iterable[int], *, is_last: bool
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Yield each image once it is written, or with the reason why it is not.

        Args:
            positions: The images.
            is_last: Whether failures are final, and are written.
        """
        waiting, unread = deque[tuple[int, Target, Path]](), deque[Predicted]()
        # Files of images from elsewhere that are not written yet. Threads that fetch images add them, and the
        # thread that writes takes them out.
        temporary: dict[int, Path] = {}
        depth = 2 * self.batch.predictor.options.batch_size
        local = self._local(positions, temporary, depth=depth)

        def images() -> Iterator[Path]:
            for position, target, image in local:
                if isinstance(image, LexisegError):
                    unread.append((position, target, None, image))
                else:
                    waiting.append((position, target, image))
                    yield image

        def predicted() -> Generator[Predicted, None, None]:
            for _, result in self.batch.predictor.predict_paths(images()):
                while unread:
                    yield unread.popleft()
                yield (*waiting.popleft(), result)
            yield from unread

        def save(group: Sequence[Predicted]) -> list[tuple[int, Outcome]]:
            outcomes = []
            for position, target, image, result in group:
                outcomes.append((position, self._save(target, image, result, is_last=is_last)))
                if position in temporary:
                    temporary.pop(position).unlink(missing_ok=True)
            return outcomes

        try:
            # No thread writes, reads or fetches any more when the temporary files are removed.
            with (
                closing(local),
                closing(predicted()) as found,
                closing(_saved(found, save, depth=depth)) as saved,
            ):
                yield from saved
        finally:
            for file in temporary.values():
                file.unlink(missing_ok=True)

    def _local(
        self, positions: Iterable[int], temporary: dict[int, Path], *, depth: int
    ) -> Generator[tuple[int, Target, Path | LexisegError], None, None]:
        """Yield the images with their files; that of an image from elsewhere is temporary.

        Args:
            positions: The images.
            temporary: Gets the temporary files, also those that are fetched ahead.
            depth: Images that are fetched ahead.
        """

        def fetched(item: tuple[int, Target]) -> tuple[int, Target, Path | LexisegError]:
            position, target = item
            assert target.origin is not None
            try:
                file = temporary[position] = stage(target.origin, self.batch.out)
            except DataError as error:
                return position, target, error
            return position, target, file

        targets = ((position, self.targets[position]) for position in positions)
        for is_here, items in groupby(targets, key=lambda item: item[1].origin is None):
            if is_here:
                yield from ((position, target, target.image) for position, target in items)
            else:
                yield from read_ahead(items, fetched, depth=depth, threads=FETCHES)

    def _save(
        self, target: Target, image: Path | None, result: Prediction | LexisegError, *, is_last: bool
    ) -> Outcome:
        """Write one image.

        Args:
            target: The image.
            image: Its file; None if it could not be fetched.
            result: Its prediction, or why there is none.
            is_last: Whether a failure is final, and is written.
        """
        here = target if image is None else dataclasses.replace(target, image=image)
        if isinstance(result, LexisegError) and not is_last:
            return result
        if isinstance(result, LexisegError) and image is not None:
            result = named(result, image, target.label)
        outcome = _write(here, result, self.batch, self.chosen, self.known, is_last)
        if isinstance(outcome, LexisegError) and image is not None:
            outcome = named(outcome, image, target.label)
        return outcome


def _changed_after(image: Path, begun: int) -> bool:
    """Return whether a file was changed or put in its place after a time in nanoseconds, or is gone."""
    try:
        found = os.stat(image)
    except OSError:
        return True
    # The second time also tells a file that was copied with its old time.
    return max(found.st_mtime_ns, found.st_ctime_ns) > begun


def _write(
    target: Target,
    result: Prediction | LexisegError,
    batch: Batch,
    writers: Sequence[Writer],
    known: Sequence[Writer],
    is_last: bool,
) -> Outcome:
    """Write one image in every format, after removing its outputs of an earlier batch.

    Args:
        target: The image.
        result: Its prediction, or why there is none.
        batch: The batch.
        writers: The writers of the batch.
        known: Those of all formats.
        is_last: Whether a failure is final, and is written.

    Returns:
        The image as it was written, or why it could not be: its file cannot be read, or not any more, or
        another file is in the place of an output.
    """
    # First, so that an interruption leaves a mask without a card, not one with the card of another mask.
    for writer in known:
        writer.remove_stale(target, batch)
    if isinstance(result, Prediction):
        try:
            image = PredictedImage(target=target, prediction=result, view=batch.predictor.options.view)
            for writer in writers:
                writer.write(image, batch)
            return image
        except DataError as error:
            result = error
    # Nothing is written of this image, so nothing of it stays in any format.
    nothing = dataclasses.replace(batch, formats=())
    for writer in known:
        writer.remove_stale(target, nothing)
    if is_last:
        for writer in writers:
            writer.write_failure(target, result, batch)
    return result


def _saved(
    predicted: Iterator[Predicted],
    save: Callable[[Sequence[Predicted]], list[tuple[int, Outcome]]],
    *,
    depth: int,
) -> Generator[tuple[int, Outcome], None, None]:
    """Yield each image once its files are written, by a background thread while the network works.

    Args:
        predicted: The images.
        save: Writes some images.
        depth: Images that may wait until they are written.
    """
    together = min(_WRITTEN_TOGETHER, depth // 2)
    waiting: deque[Future[list[tuple[int, Outcome]]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="lexiseg-write") as pool:
        try:
            while group := list(islice(predicted, together)):
                waiting.append(pool.submit(save, group))
                if len(waiting) * together > depth:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
