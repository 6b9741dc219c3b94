"""Writing the images of a batch: files in several threads, tables in one, in the order of the batch."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lexiseg.chunks import chunks
from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Writer

#: What happened to an image: it was written, or why it could not be.
Outcome = PredictedImage | LexisegError

# Threads that write files. Each file waits some milliseconds until the disk holds it, which takes no
# processor time, and a disk confirms several files at once.
_THREADS = 4
# Images that a thread writes at a time: each handing over costs about 0.1 ms of processor time.
_TOGETHER = 4


class Unwritten(NamedTuple):
    """An image of which nothing is written yet.

    Attributes:
        position: Its position in the batch.
        target: The image.
        file: Its file; None if it could not be fetched.
        result: Its prediction, or why there is none.
    """

    position: int
    target: Target
    file: Path | None
    result: Prediction | LexisegError


class ImageWriting:
    """Writes the images of a batch in all its formats.

    Args:
        batch: The batch.
        chosen: The writers of the batch.
        known: Those of all formats whose earlier files are removed.
        is_last: Whether failures are final, and are written.
    """

    def __init__(
        self, batch: Batch, chosen: Sequence[Writer], known: Sequence[Writer], *, is_last: bool
    ) -> None:
        self._batch, self._chosen, self._known, self._is_last = batch, chosen, known, is_last
        self._in_threads = [w for w in chosen if isinstance(w, ImageWriter) and w.is_thread_safe]
        self._in_order = [w for w in chosen if w not in self._in_threads]

    def written(
        self, images: Iterator[Unwritten], is_written: Callable[[int], None], *, depth: int
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Yield the position and the outcome of each image once it is written, in the order of the images.

        Background threads write while the caller makes the next image.

        Args:
            images: The images.
            is_written: Called with the position of each image whose file is not needed any more.
            depth: Images that may wait until they are written.
        """
        together = max(1, min(_TOGETHER, depth // 2))
        waiting: deque[Future[list[tuple[int, Outcome]]]] = deque()
        begun: deque[Future[list[Outcome]]] = deque()

        def write_files(group: Sequence[Unwritten]) -> list[Outcome]:
            return [self._write_files(image) for image in group]

        def write_rest(
            group: Sequence[Unwritten], files_of_group: Future[list[Outcome]]
        ) -> list[tuple[int, Outcome]]:
            outcomes = []
            for image, outcome in zip(group, files_of_group.result(), strict=True):
                outcomes.append((image.position, self._write_rest(image, outcome)))
                is_written(image.position)
            return outcomes

        with (
            ThreadPoolExecutor(_THREADS, thread_name_prefix="lexiseg-write") as files,
            ThreadPoolExecutor(1, thread_name_prefix="lexiseg-tables") as tables,
        ):
            try:
                for group in chunks(images, together):
                    begun.append(files.submit(write_files, group))
                    waiting.append(tables.submit(write_rest, group, begun[-1]))
                    if len(waiting) * together > depth:
                        begun.popleft()
                        yield from waiting.popleft().result()
                while waiting:
                    begun.popleft()
                    yield from waiting.popleft().result()
            finally:
                # What has not begun is not written; the images have no lines, so a next batch predicts them.
                futures: list[Future[Any]] = [*begun, *waiting]
                for future in futures:
                    future.cancel()

    def _write_files(self, image: Unwritten) -> Outcome:
        """Remove the outputs of an earlier batch of one image, and write the formats of several threads."""
        if isinstance(image.result, LexisegError) and not self._is_last:
            return image.result
        # First, so that an interruption leaves a mask without a card, not one with the card of another mask.
        for writer in self._known:
            writer.remove_stale(image.target, self._batch)
        if isinstance(image.result, LexisegError):
            return image.result
        predicted = PredictedImage(
            target=_here(image), prediction=image.result, view=self._batch.predictor.options.view
        )
        return self._in_formats(predicted, self._in_threads)

    def _write_rest(self, image: Unwritten, outcome: Outcome) -> Outcome:
        """Write the other formats of one image, or that it failed.

        Args:
            image: The image.
            outcome: What `_write_files` returned.

        Returns:
            The image as it was written, or why it could not be: its file cannot be read, or not any more, or
            another file is in the place of an output.
        """
        if isinstance(outcome, PredictedImage):
            outcome = self._in_formats(outcome, self._in_order)
        if isinstance(outcome, PredictedImage):
            return outcome
        if isinstance(image.result, LexisegError) and not self._is_last:
            return image.result
        # Nothing is written of this image, so nothing of it stays in any format.
        nothing = dataclasses.replace(self._batch, formats=())
        for writer in self._known:
            writer.remove_stale(image.target, nothing)
        if image.file is not None:
            outcome = named(outcome, image.file, image.target.label)
        if self._is_last:
            for writer in self._chosen:
                writer.write_failure(_here(image), outcome, self._batch)
        return outcome

    def _in_formats(self, image: PredictedImage, writers: Sequence[Writer]) -> Outcome:
        """Write one image with some writers; return why it could not be written."""
        try:
            for writer in writers:
                writer.write(image, self._batch)
        except DataError as error:
            return error
        return image


def _here(image: Unwritten) -> Target:
    """Return the target of an image with the file that it has here."""
    return image.target if image.file is None else dataclasses.replace(image.target, image=image.file)
