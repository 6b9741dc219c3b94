"""The predictor of a server: one thread computes, and images are decoded in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from lexiseg.data.decode import read_content
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
        executor: Its one thread computes all batches, of requests and of jobs, one after the other.
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

    def compute(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Predict a batch of images; only the thread of `executor` calls it.

        On a CPU the images go through the network one by one: a batch is not faster there, and the last
        digits of a result would depend on the other images of its batch.
        """
        if self.engine.description.device == "cpu":
            return [self.predict_decoded([image])[0] for image in images]
        return self.predict_decoded(images)

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
                image = self._decoded(path)
                yield path, self._executor.submit(self.compute, [image]).result()[0]
            except LexisegError as error:
                yield path, error

    def _decoded(self, path: Path) -> DecodedImage:
        upload = UploadedImage(name=path.name, content=read_content(path), view=self.options.view)
        decoding = asyncio.run_coroutine_threadsafe(self._decoding.decode(upload), self._loop)
        return decoding.result().image
