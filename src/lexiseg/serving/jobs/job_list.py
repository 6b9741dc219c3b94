"""The jobs of a server: made, run one after the other, cancelled, and removed after a while."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from lexiseg.errors import LexisegError, RequestError
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.inference.result import Prediction
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.outputs.private_folder import PrivateFolder
from lexiseg.printable import counted
from lexiseg.refinement.refine import Refinement
from lexiseg.serving.answers import error_record
from lexiseg.serving.jobs.job import Job, JobSettings, queued_record, time_text
from lexiseg.serving.jobs.work import StoppedError, run_job
from lexiseg.serving.limits import Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.models import ServedModel
from lexiseg.serving.records.common import ErrorRecord
from lexiseg.serving.records.jobs import JobState
from lexiseg.serving.served_predictor import ServedPredictor

_log = logging.getLogger("lexiseg.serving")
_T = TypeVar("_T")

# Seconds between two events of progress, and between two signs of life of a stream without news.
_EVENT_SECONDS, _ALIVE_SECONDS = 0.2, 15.0
# Seconds after which a job that found no space, or a server that ends, may be sent again.
_FULL_SECONDS, _ENDING_SECONDS = 60, 10
# Why a job is cancelled or refused while the server ends.
_ENDING = ErrorRecord(
    code="LEX-REQ-2081",
    message="The server ends, and the job with it. Send the job again when the server runs again.",
)


class JobPlace:
    """The place of a job whose files arrive.

    Args:
        make_room: Refuses a number of bytes, besides those of all jobs, that the disk has no room for.

    Attributes:
        held_bytes: Bytes on the disk that are kept for it.
    """

    def __init__(self, make_room: Callable[[int], None]) -> None:
        self._make_room = make_room
        self.held_bytes = 0

    def hold(self, amount: int) -> None:
        """Keep more bytes of the disk for the job.

        Raises:
            RequestError: There are not as many, also without the finished jobs.
        """
        self._make_room(amount)
        self.held_bytes += amount


class JobList:
    """The jobs of a server.

    Args:
        limits: Limits of the server.
        metrics: Counts jobs and their images.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._jobs: dict[str, Job] = {}
        self._private = PrivateFolder("jobs")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lexiseg-job")
        # Removing thousands of files takes seconds, in which the loop must answer.
        self._folders = ThreadPoolExecutor(1, thread_name_prefix="lexiseg-job-folders")
        self._running: set[asyncio.Task[None]] = set()
        self._arriving: set[JobPlace] = set()
        # Removed before their end, and their files are there still.
        self._leaving: set[Job] = set()
        self._is_ending = False

    @contextmanager
    def place(self) -> Iterator[JobPlace]:
        """Keep a place for a job while its files arrive; `add` is called before it is given back.

        Raises:
            RequestError: Too many jobs are arriving, waiting or running.
        """
        active = len(self._arriving) + sum(not job.is_final for job in self._jobs.values())
        if active >= self._limits.jobs:
            raise RequestError(
                f"{counted(active, 'job is', 'jobs are')} arriving, waiting or running already. Send the job "
                "again when one has ended.",
                status=429,
                retry_after=30,
                code="LEX-REQ-1137",
            )
        place = JobPlace(self._make_room)
        self._arriving.add(place)
        try:
            yield place
        finally:
            self._arriving.discard(place)

    async def new_folder(self) -> tuple[str, Path]:
        """Return the number of a new job, and its private folder.

        Raises:
            DiskError: There is no space or no permission.
        """
        number = secrets.token_hex(16)
        return number, await self._in_folders(lambda: self._private.new(number))

    async def discard(self, folder: Path) -> None:
        """Remove the folder of a job."""
        await self._in_folders(lambda: shutil.rmtree(folder, ignore_errors=True))

    def add(
        self,
        number: str,
        folder: Path,
        *,
        owner: str,
        model: ServedModel,
        settings: JobSettings,
        uploads: dict[Path, str],
        held_bytes: int,
    ) -> Job:
        """Add a job and begin it as soon as those before it have ended.

        Args:
            number: From `new_folder`.
            folder: Likewise.
            owner: Name of the token with which it is made.
            model: The model.
            settings: What it writes, and how.
            uploads: Its files, each in a folder of its own in `folder`, with the name that it came with.
            held_bytes: Bytes of its files, unpacked.

        Raises:
            RequestError: The server began to end while the files arrived.
        """
        if self._is_ending:
            raise RequestError(_ENDING.message, status=503, retry_after=_ENDING_SECONDS, code="LEX-REQ-2081")
        job = Job(
            record=queued_record(number, model.version, settings.formats, len(uploads)),
            owner=owner,
            settings=settings,
            folder=folder,
            uploads=uploads,
            held_bytes=held_bytes,
        )
        self._jobs[number] = job
        self._begin(self._run(job, model.predictor))
        return job

    def of(self, owner: str) -> list[Job]:
        """Return the jobs of an owner, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def get(self, number: str, owner: str) -> Job:
        """Return a job.

        Raises:
            RequestError: There is none, or it is another's.
        """
        job = self._jobs.get(number)
        if job is None or job.owner != owner:
            raise RequestError(
                "There is no such job. Jobs are removed some time after their end, or earlier where newer "
                "ones need their place; /v1/jobs lists those that are there.",
                status=404,
                code="LEX-REQ-1138",
            )
        return job

    def remove(self, job: Job) -> asyncio.Task[None] | None:
        """Cancel a job and remove it with its files.

        Returns:
            What removes the files; None for a job that runs, which ends after its present image or slice and
            removes them itself.
        """
        self._jobs.pop(job.record.id, None)
        job.stop.set()
        if not job.is_final:
            self._leaving.add(job)
            if job.record.state == "running":
                return None
            self._end(job, "cancelled")
        return self._begin(self._clear(job))

    async def progress(self, job: Job) -> AsyncIterator[tuple[str, Job]]:
        """Yield the job under "progress" when it has changed, under "alive" at times, last under "end"."""
        seen, quiet = -1, 0.0
        while not job.is_final:
            if job.changes != seen:
                seen, quiet = job.changes, 0.0
                yield "progress", job
            elif quiet >= _ALIVE_SECONDS:
                quiet = 0.0
                yield "alive", job
            await asyncio.sleep(_EVENT_SECONDS)
            quiet += _EVENT_SECONDS
        yield "end", job

    def end(self) -> None:
        """Take no more jobs; cancel and remove those that have not ended, and tell who follows one why."""
        self._is_ending = True
        for job in [job for job in self._jobs.values() if not job.is_final]:
            job.change(error=_ENDING)
            self.remove(job)

    async def stop(self) -> None:
        """End all jobs and remove their files."""
        for job in list(self._jobs.values()):
            self.remove(job)
        await asyncio.gather(*self._running, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)
        # Folders that are being made for requests would stay otherwise.
        await asyncio.to_thread(self._folders.shutdown)
        await asyncio.to_thread(self._private.remove)

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _in_folders(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._folders, work)

    async def _clear(self, job: Job) -> None:
        await self.discard(job.folder)
        self._leaving.discard(job)

    async def _run(self, job: Job, predictor: ServedPredictor) -> None:
        loop = asyncio.get_running_loop()

        def work() -> int:
            if job.stop.is_set():
                raise StoppedError
            loop.call_soon_threadsafe(job.begin)
            return run_job(job, predictor, self._limits, _Reports(job, loop, self._metrics))

        try:
            size = await loop.run_in_executor(self._thread, work)
            job.change(bytes=size)
            state: JobState = "done"
        except StoppedError:
            state = "cancelled"
        except LexisegError as error:
            state = "failed"
            job.change(error=error_record(named(error, job.folder, "the job")))
        except Exception as error:
            _log.error("a job met a defect of the server", exc_info=error)
            state = "failed"
            job.change(error=_DEFECT)
        job.held_bytes = job.record.bytes or 0
        if job.record.state != "cancelled":
            self._end(job, "cancelled" if job.stop.is_set() else state)
        if job.stop.is_set() or state != "done":
            await self._clear(job)

    def _end(self, job: Job, state: JobState) -> None:
        minutes = self._limits.job_minutes
        job.change(state=state, expires=time_text(datetime.now(UTC) + timedelta(minutes=minutes)))
        asyncio.get_running_loop().call_later(60 * minutes, self.remove, job)
        self._metrics.job_ended(state)
        record = job.record
        _log.info(
            "job", extra={"job": record.id, "state": state, "images": record.done, "failed": record.failed}
        )
        self._keep_few()

    def _finished(self) -> list[Job]:
        """Return the finished jobs, the oldest first."""
        # They run one after the other, so they end in the order in which they were made.
        return [job for job in self._jobs.values() if job.is_final]

    def _keep_few(self) -> None:
        """Remove the oldest finished jobs where there are too many, or they take too much of the disk."""
        finished = self._finished()
        for job in finished[: -self._limits.kept_jobs]:
            self.remove(job)
        # The newest one stays: somebody waits for it.
        for job in finished[-self._limits.kept_jobs : -1]:
            if self._held_bytes() <= self._limits.job_disk_bytes:
                return
            self.remove(job)

    def _held_bytes(self) -> int:
        jobs = (*self._jobs.values(), *self._leaving)
        return sum(job.held_bytes for job in jobs) + sum(place.held_bytes for place in self._arriving)

    def _make_room(self, amount: int) -> None:
        """Remove the oldest finished jobs until a number of bytes fits.

        Raises:
            RequestError: It does not fit without all of them; then none is removed.
        """
        finished, most = self._finished(), self._limits.job_disk_bytes
        if self._held_bytes() - sum(job.held_bytes for job in finished) + amount > most:
            raise RequestError(
                f"The files of the jobs that are arriving, waiting or running leave no space for {amount:,} "
                f"bytes; the server gives {most:,} bytes to jobs. Send the job again later.",
                status=507,
                retry_after=_FULL_SECONDS,
                code="LEX-REQ-1452",
            )
        for job in finished:
            if self._held_bytes() + amount <= most:
                return
            self.remove(job)


class _Reports:
    """What the thread of a job tells the loop; see `lexiseg.serving.jobs.work.JobProgress`."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._job, self._later, self._metrics = job, loop.call_soon_threadsafe, metrics

    def found(self, images: int, notes: tuple[str, ...]) -> None:
        """Take the number of images and volumes, and what is left out."""
        self._later(lambda: self._job.change(images=images, notes=notes))

    def opened(self, slices: int) -> None:
        """Take the number of slices of a volume."""
        self._later(lambda: self._job.count(slices=slices))

    def slice_done(self) -> None:
        """Take note of a slice that is predicted."""
        self._later(lambda: self._job.count(slices_done=1))

    def ended(self, result: Prediction | VolumePrediction | LexisegError) -> None:
        """Take the result of an image or of a volume."""
        self._later(lambda: self._count(result))

    def refined(self, refinement: Refinement) -> None:
        """Take the result of an image whose mask was corrected."""
        self._later(lambda: self._count_refined(refinement))

    def _count_refined(self, refinement: Refinement) -> None:
        model = self._job.record.model
        self._job.count(done=1, flagged=int(refinement.flagged))
        self._metrics.predicted(model.name, model.version, refinement.prediction)
        self._metrics.refined(model.name, model.version)

    def _count(self, result: Prediction | VolumePrediction | LexisegError) -> None:
        model = self._job.record.model
        if isinstance(result, LexisegError):
            self._job.count(failed=1)
            self._metrics.failed(model.name, model.version)
            return
        self._job.count(done=1, flagged=int(result.flagged))
        if isinstance(result, VolumePrediction):
            self._metrics.predicted_volume(model.name, model.version, result)
        else:
            self._metrics.predicted(model.name, model.version, result)


_DEFECT = ErrorRecord(code="LEX-REQ-1113", message="The server has a defect, which this job met.")
