"""What all routes of a server share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import LexisegError, RequestError
from lexiseg.inference.result import Prediction
from lexiseg.printable import counted
from lexiseg.refinement.refine import refine_decoded, statement_for
from lexiseg.serving.answers import failed_image, prediction_answer, refined_answer
from lexiseg.serving.corrected_files import check_corrected, corrected_objects
from lexiseg.serving.encoded_results import EncodedResult
from lexiseg.serving.image_addresses import ImageAddresses
from lexiseg.serving.isolated_decoding import IsolatedDecoding, UploadedImage
from lexiseg.serving.jobs.job_list import JobList
from lexiseg.serving.limits import Budget, Holding, Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.model_watch import ModelWatch
from lexiseg.serving.models import ModelPlaces, Models, ServedModel
from lexiseg.serving.records.common import PreviewChoice
from lexiseg.serving.records.predictions import PredictionAnswer
from lexiseg.serving.records.refinements import RefinedAnswer
from lexiseg.serving.tokens import Tokens

_log = logging.getLogger("lexiseg.serving")


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """What answers hold.

    Attributes:
        preview: Which results get a preview.
        exact: Whether results hold what the Python client needs.
    """

    preview: PreviewChoice
    exact: bool


@dataclass(kw_only=True)
class Service:
    """What all routes of a server share.

    Attributes:
        limits: Its limits.
        metrics: What it counts.
        tokens: Its tokens; None where it asks for none.
        models: Its models.
        watch: Replaces models whose files change.
        decoding: Decodes images.
        computing: Its one thread computes.
        finishing: Threads that make predictions and answers.
        jobs: Its jobs.
        bodies: Bytes of bodies in memory.
        addresses: Fetches images from other hosts; None where that is off.
        stopping: Whether it is ending.
        started: Whether it has been started.
    """

    limits: Limits
    metrics: Metrics
    tokens: Tokens | None
    models: Models
    watch: ModelWatch
    decoding: IsolatedDecoding
    computing: ThreadPoolExecutor
    finishing: ThreadPoolExecutor
    jobs: JobList
    bodies: Budget
    addresses: ImageAddresses | None = None
    stopping: bool = False
    started: bool = False

    async def start(self) -> None:
        """Load the models and start the processes that decode; nothing where that is done already.

        Raises:
            LexisegError: A run cannot be loaded, or no process can be started.
        """
        if self.started:
            return
        self.started = True
        try:
            await self.models.load()
            await self.decoding.start()
        except BaseException:
            await self.stop()
            raise
        self.watch.start()
        _log.info("ready", extra={"models": [model.record.name for model in self.models.all()]})

    async def stop(self) -> None:
        """End jobs, processes and threads."""
        self.stopping = True
        self.watch.stop()
        await self.jobs.stop()
        await self.decoding.stop()
        for threads in (self.computing, self.finishing):
            threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Refuse a request that takes longer than the limit.

        Raises:
            RequestError: It does.
        """
        try:
            async with asyncio.timeout(self.limits.seconds):
                yield
        except TimeoutError as error:
            raise RequestError(
                f"The request takes longer than {self.limits.seconds:g} s, the limit of the server. "
                "Send it again, with fewer images, or as a job.",
                status=503,
                retry_after=5,
                code="LEX-REQ-1126",
            ) from error

    @asynccontextmanager
    async def upload_time(self) -> AsyncIterator[None]:
        """Refuse the upload of a job that takes longer than the limit.

        Raises:
            RequestError: It does.
        """
        try:
            async with asyncio.timeout(self.limits.job_seconds):
                yield
        except TimeoutError as error:
            raise RequestError(
                f"The upload of the job takes longer than {self.limits.job_seconds:g} seconds, the limit of "
                "the server. Send several jobs.",
                status=408,
                code="LEX-REQ-1450",
            ) from error

    async def fetch(self, urls: Sequence[str], holding: Holding) -> tuple[tuple[str, bytes], ...]:
        """Return name and content of the images at addresses.

        Raises:
            RequestError: The server does not fetch images, not from there, or more than it takes at once.
        """
        if self.addresses is None:
            raise RequestError(
                "This server fetches no images. Send their bytes as multipart/form-data.",
                status=403,
                code="LEX-REQ-1127",
            )
        if len(urls) > self.limits.images:
            raise RequestError(
                f"The request names {counted(len(urls), 'image')}; the server takes at most "
                f"{self.limits.images}.",
                status=413,
                code="LEX-REQ-1128",
            )
        found = []
        for position, url in enumerate(urls, 1):
            content = await self.addresses.fetch(url, self.limits.file_bytes)
            holding.add(len(content))
            found.append((f"image {position}", content))
        return tuple(found)

    async def predict(
        self, model: ServedModel, uploads: Sequence[UploadedImage], options: AnswerOptions
    ) -> list[EncodedResult]:
        """Predict the images of a request; one that cannot be read does not stop the others.

        Raises:
            RequestError: Too many images wait for the model.
        """
        with model.batcher.places(len(uploads)) as places:
            return await asyncio.gather(
                *(self._predict_one(model, places, upload, options) for upload in uploads)
            )

    async def refine(
        self,
        model: ServedModel,
        upload: UploadedImage,
        said: str | dict[str, str],
        options: AnswerOptions,
        *,
        formats: tuple[str, ...] = (),
        who: str = "",
    ) -> tuple[PredictionAnswer, RefinedAnswer]:
        """Predict an image, and refine its mask by what a person says.

        Args:
            model: The model.
            upload: The image.
            said: What the person says.
            options: What the answer holds.
            formats: DICOM objects of the refined mask that it holds too.
            who: Name of the token of the person; empty where that is not known.

        Raises:
            RequestError: Too many images wait for the model.
            DataError: The image cannot be read.
            UsageError: What is said cannot be read, contradicts itself, or can move no mask.
            DiskError: There is no space for the DICOM objects.
        """
        check_corrected(formats)
        statement = await asyncio.to_thread(statement_for, model.predictor, said)
        with model.batcher.places(1) as places:
            image, prediction = await self._computed(model, places, upload)
            folder = (await self.jobs.new_folder())[1] if formats else None

            def answer() -> tuple[PredictionAnswer, RefinedAnswer]:
                refinement = refine_decoded(model.predictor, image, statement, prediction=prediction)
                objects = None
                if folder is not None:
                    objects = corrected_objects(
                        model.predictor,
                        refinement,
                        upload=upload,
                        who=who,
                        formats=formats,
                        folder=folder,
                    )
                refined = refined_answer(
                    refinement,
                    image,
                    classes=model.record.classes,
                    preview=options.preview,
                    exact=options.exact,
                    objects=objects,
                )
                return _answer(model, upload.name, image, prediction, options), refined

            first, refined = await asyncio.get_running_loop().run_in_executor(self.finishing, answer)
        self.metrics.refined(model.record.name, model.record.version)
        return first, refined

    async def _predict_one(
        self, model: ServedModel, places: ModelPlaces, upload: UploadedImage, options: AnswerOptions
    ) -> EncodedResult:
        try:
            image, prediction = await self._computed(model, places, upload)
        except LexisegError as error:
            self.metrics.failed(model.record.name, model.record.version)
            self.metrics.refused(error.code)
            return EncodedResult.of(failed_image(upload.name, error))

        def encoded() -> EncodedResult:
            return EncodedResult.of(_answer(model, upload.name, image, prediction, options))

        return await asyncio.get_running_loop().run_in_executor(self.finishing, encoded)

    async def _computed(
        self, model: ServedModel, places: ModelPlaces, upload: UploadedImage
    ) -> tuple[DecodedImage, Prediction]:
        image = await self.decoding.decode(upload)
        prediction = await places.result(image)
        self.metrics.predicted(model.record.name, model.record.version, prediction)
        return image, prediction


def service_of(request: Request) -> Service:
    """Return what the routes of the server of a request share."""
    return cast(Service, request.app.state.service)


def _answer(
    model: ServedModel,
    name: str,
    image: DecodedImage,
    prediction: Prediction,
    options: AnswerOptions,
) -> PredictionAnswer:
    return prediction_answer(
        prediction,
        image,
        name=name,
        classes=model.record.classes,
        preview=options.preview,
        exact=options.exact,
    )
