"""The images of a batch on their way to files: fetched, predicted, written, and tried twice."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.batches.batch_job import JOB_FILE, unchanged_since
from lexiseg.inference.batches.batch_summary import BatchCounts
from lexiseg.inference.batches.image_writing import ImageWriting, Outcome, Unwritten
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.temporary_images import FETCHES, ImageFetcher
from lexiseg.inference.writers.base import Batch, ResumableWriter, Writer
from lexiseg.read_ahead import read_ahead


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

    def __post_init__(self) -> None:
        self._fetcher = ImageFetcher(self.batch.out)

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
                    self.counts.add(outcome.record(None))
                    yield outcome.target, outcome
        yield from resumed
        with closing(self._written(failed, is_last=True)) as second_try:
            for position, outcome in second_try:
                target = self.targets[position]
                if isinstance(outcome, LexisegError):
                    self.counts.failed.append((target.label, target.named(str(outcome))))
                else:
                    self.counts.add(outcome.record(None), recovered=True)
                yield target, outcome

    def _unfinished(self, resumed: deque[Target]) -> Iterator[int]:
        """Yield the positions of the images to predict; count the finished ones and add them to `resumed`."""
        earlier = self.batch.earlier
        begun = (self.batch.out / JOB_FILE).stat().st_mtime_ns if earlier is not None else 0
        for position, target in enumerate(self.targets):
            record = None if earlier is None else earlier.prediction(target.label)
            if record is None or not unchanged_since(target.files_that_tell, begun):
                yield position
            elif all(
                isinstance(writer, ResumableWriter) and writer.is_whole(target, record, self.batch)
                for writer in self.chosen
            ):
                self.counts.add(record, resumed=True)
                if target.origin is not None:
                    self._fetcher.note_readable(target.origin)
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
        waiting, unread = deque[tuple[int, Target, Path]](), deque[Unwritten]()
        # Files of images from elsewhere that are not written yet. Threads that fetch images add them, and the
        # thread that writes tables takes them out.
        temporary: dict[int, Path] = {}
        depth = 2 * self.batch.predictor.options.batch_size
        local = self._local(positions, temporary, depth=depth)

        def images() -> Iterator[Path]:
            for position, target, image in local:
                if isinstance(image, LexisegError):
                    unread.append(Unwritten(position, target, None, image))
                else:
                    waiting.append((position, target, image))
                    yield image

        def predicted() -> Generator[Unwritten, None, None]:
            for _, result in self.batch.predictor.predict_paths(images()):
                while unread:
                    yield unread.popleft()
                yield Unwritten(*waiting.popleft(), result)
            yield from unread

        def is_written(position: int) -> None:
            if position in temporary:
                temporary.pop(position).unlink(missing_ok=True)

        writing = ImageWriting(self.batch, self.chosen, self.known, is_last=is_last)
        try:
            # No thread writes, reads or fetches any more when the temporary files are removed.
            with (
                closing(local),
                closing(predicted()) as found,
                closing(writing.written(found, is_written, depth=depth)) as written,
            ):
                yield from written
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
                file = temporary[position] = self._fetcher.fetch(target.origin)
            except DataError as error:
                return position, target, error
            return position, target, file

        targets = ((position, self.targets[position]) for position in positions)
        for is_here, items in groupby(targets, key=lambda item: item[1].origin is None):
            if is_here:
                yield from ((position, target, target.image) for position, target in items)
            else:
                yield from read_ahead(items, fetched, depth=depth, threads=FETCHES)
