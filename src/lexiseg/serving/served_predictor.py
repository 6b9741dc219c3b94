"""The predictor of a server: one thread computes, and images are decoded in processes of their own."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from lexiseg.clinic.view import View
from lexiseg.data.content import read_content
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import LexisegError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run
from lexiseg.serving.isolated_decoding import IsolatedDecoding, UploadedImage


class ServedPredictor(Predictor):
    """A predictor that requests and jobs share.

    Args:
        run: The run.
        options: How images are predicted.
        executor: Its one thread computes the network for all batches, of requests and of jobs.
        decoding: Decodes the images of jobs.
        loop: The loop in which `decoding` runs.
    """

    def __init__(
        self,
        run: Run,
        options: PredictionOptions,
        *,
        executor: Executor,
        decoding: IsolatedDecoding,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(run, options)
        self._executor, self._decoding, self._loop = executor, decoding, loop

    def compute(self, images: Sequence[DecodedImage]) -> Callable[[], list[Prediction]]:
        """Compute the network for a batch of images; only the thread of `executor` calls it.

        On a CPU no digit of a result depends on the other images of its batch.

        Returns:
            What makes the predictions, in any thread; where the network needs all cores, they are made here.
        """
        answers = self._answers([image.displayed for image in images])
        if self.engine.description.needs_all_cores:
            predictions = self._of_files(images, answers, None)
            return lambda: predictions
        return lambda: self._of_files(images, answers, None)

    def for_job(self, view: View) -> ServedPredictor:
        """Return this predictor with the view of a job; both share the network.

        Args:
            view: The window and the frame of DICOM files, and the window of volumes.
        """
        own = copy.copy(self)
        # One image or slice at a time: so progress is told, and a job is cancelled, after each.
        own.options = replace(self.options, view=view, batch_size=1)
        return own

    def predict_decoded(
        self, images: Sequence[DecodedImage], *, spacing_mm: tuple[float, float] | None = None
    ) -> list[Prediction]:
        """Predict images of a job, one after the other, between the images of requests.

        Args:
            images: The images.
            spacing_mm: It has no effect: jobs state no spacing.
        """
        return [self._executor.submit(self.compute, [image]).result()()[0] for image in images]

    def predict_paths(
        self,
        paths: Iterable[str | Path],
        *,
        batch_size: int | None = None,
        spacing_mm: tuple[float, float] | None = None,
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        """Predict the files of a job, one after the other, between the images of requests.

        Args:
            paths: Image files.
            batch_size: It has no effect: requests wait for one image of a job at most.
            spacing_mm: It has no effect: jobs state no spacing.

        Yields:
            Each path, in order, with its prediction, or with the error that its file raised.
        """
        for path in map(Path, paths):
            try:
                image = self.decoded(path)
                yield path, self.predict_decoded([image])[0]
            except LexisegError as error:
                yield path, error

    def decoded(self, path: Path) -> DecodedImage:
        """Return an image of a job, decoded in a process of its own; not to be called in the loop.

        Raises:
            LexisegError: It cannot be read, or is above a limit.
        """
        upload = UploadedImage(name=path.name, content=read_content(path), view=self.options.view)
        decoding = asyncio.run_coroutine_threadsafe(self._decoding.decode(upload), self._loop)
        return decoding.result()
