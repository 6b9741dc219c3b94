"""The jobs of a server: made, run one after the other, cancelled, and removed after a while."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lexiseg.errors import LexisegError, RequestError
from lexiseg.inference.result import Prediction
from lexiseg.serving.answers import error_record
from lexiseg.serving.jobs.job import Job
from lexiseg.serving.jobs.private_folder import PrivateFolder
from lexiseg.serving.jobs.work import StoppedError, run_job
from lexiseg.serving.limits import Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.models import ServedModel
from lexiseg.serving.records.common import ErrorRecord
from lexiseg.serving.records.jobs import JobState
from lexiseg.serving.served_predictor import ServedPredictor

_log = logging.getLogger("lexiseg.serving")

# Seconds between two events of progress, and between two signs of life of a stream without news.
_EVENT_SECONDS, _ALIVE_SECONDS = 0.2, 15.0


class JobList:
    """The jobs of a server.

    Args:
        limits: Limits of the server.
        metrics: Counts jobs and their images.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._jobs: dict[str, Job] = {}
        self._private = PrivateFolder()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lexiseg-job")
        self._running: set[asyncio.Task[None]] = set()
        self._arriving = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep a place for a job while its images arrive; `add` is called before it is given back.

        Raises:
            RequestError: Too many jobs are arriving, waiting or running.
        """
        active = self._arriving + sum(not job.is_final for job in self._jobs.values())
        if active >= self._limits.jobs:
            raise RequestError(
                f"{active} jobs are arriving, waiting or running already. Send the job again when one has "
                "ended.",
                status=429,
                retry_after=30,
                code="LEX-REQ-1137",
            )
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    def new_folder(self) -> tuple[str, Path]:
        """Return the number of a new job, and its private folder.

        Raises:
            DiskError: There is no space or no permission.
        """
        number = secrets.token_hex(16)
        return number, self._private.new(number)

    def add(
        self,
        number: str,
        folder: Path,
        *,
        owner: str,
        model: ServedModel,
        formats: tuple[str, ...],
        images: dict[Path, str],
    ) -> Job:
        """Add a job and begin it as soon as those before it have ended.

        Args:
            number: From `new_folder`.
            folder: Likewise.
            owner: Name of the token with which it is made.
            model: The model.
            formats: The outputs.
            images: Its image files in `folder`, each with the name that it came with.
        """
        job = Job(
            id=number,
            owner=owner,
            version=model.version,
            formats=formats,
            folder=folder,
            images=images,
            created=datetime.now(UTC),
        )
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job, model.predictor))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
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
                "There is no such job. Jobs are removed some time after their end; /v1/jobs lists those "
                "that are there.",
                status=404,
                code="LEX-REQ-1138",
            )
        return job

    def remove(self, job: Job) -> None:
        """Cancel a job and remove it with its files; one that runs ends after its present image."""
        self._jobs.pop(job.id, None)
        job.stop.set()
        if job.state == "running":
            return  # its thread removes the files
        if not job.is_final:
            self._end(job, "cancelled")
        shutil.rmtree(job.folder, ignore_errors=True)

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

    async def stop(self) -> None:
        """End all jobs and remove their files."""
        for job in list(self._jobs.values()):
            self.remove(job)
        await asyncio.gather(*self._running, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._private.remove()

    async def _run(self, job: Job, predictor: ServedPredictor) -> None:
        loop = asyncio.get_running_loop()

        def after(result: Prediction | LexisegError) -> None:
            loop.call_soon_threadsafe(self._count, job, result)

        def work() -> int:
            if job.stop.is_set():
                raise StoppedError
            loop.call_soon_threadsafe(_begin, job)
            return run_job(job, predictor, after)

        try:
            job.bytes = await loop.run_in_executor(self._thread, work)
            state: JobState = "done"
        except StoppedError:
            state = "cancelled"
        except LexisegError as error:
            job.error, state = error_record(error), "failed"
        except Exception as error:
            _log.error("a job met a defect of the server", exc_info=error)
            job.error, state = _DEFECT, "failed"
        if job.state != "cancelled":
            self._end(job, "cancelled" if job.stop.is_set() else state)
        if job.stop.is_set() or state != "done":
            shutil.rmtree(job.folder, ignore_errors=True)

    def _end(self, job: Job, state: JobState) -> None:
        job.state = state
        job.changes += 1
        minutes = self._limits.job_minutes
        job.expires = datetime.now(UTC) + timedelta(minutes=minutes)
        asyncio.get_running_loop().call_later(60 * minutes, self.remove, job)
        self._metrics.job_ended(state)
        _log.info("job", extra={"job": job.id, "state": state, "images": job.done, "failed": job.failed})

    def _count(self, job: Job, result: Prediction | LexisegError) -> None:
        version = job.version
        if isinstance(result, LexisegError):
            job.failed += 1
            self._metrics.failed(version.name, version.version)
        else:
            job.done += 1
            job.flagged += result.flagged
            self._metrics.predicted(version.name, version.version, result)
        job.changes += 1


_DEFECT = ErrorRecord(code="LEX-REQ-1113", message="The server has a defect, which this job met.")


def _begin(job: Job) -> None:
    if job.state == "queued":
        job.state = "running"
        job.changes += 1
