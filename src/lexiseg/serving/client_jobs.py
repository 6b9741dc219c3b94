"""Jobs of a server for its client: follow one, wait for it, cancel it, and download its outputs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2

from lexiseg.data.archives import extract
from lexiseg.errors import LexisegError, RequestError, UsageError
from lexiseg.files import atomic_folder, atomic_path, temporary_folder
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.printable import brief, counted
from lexiseg.serving.client_connection import Connection
from lexiseg.serving.jobs.job import FINAL
from lexiseg.serving.records.jobs import JobRecord, JobState

# A stream without news gives a sign of life every 15 seconds; without one for so many seconds, it is broken.
_SILENCE = 60.0
# Seconds before a broken stream is opened again.
_PAUSE = 1.0
# Status of a server that has no place left at the moment.
_BUSY = 429


class ServerJob:
    """A job on a server: images and volumes that it predicts in the background.

    `Client.submit` makes one; `Client.jobs` lists those that the server still has.

    Args:
        connection: The connection of the client.
        record: What the server said of it.

    Attributes:
        record: What the server said last: the state, and numbers of images, slices, failures and flags.
    """

    def __init__(self, connection: Connection, record: JobRecord) -> None:
        self._connection = connection
        self.record = record
        self._is_cancelled = False

    @property
    def id(self) -> str:
        """Its number."""
        return self.record.id

    @property
    def state(self) -> JobState:
        """How far it was when the server was asked last."""
        return self.record.state

    def refresh(self) -> JobRecord:
        """Ask the server how far the job is.

        Raises:
            RequestError: The server has removed the job, refuses, or cannot be reached.
        """
        self.record = self._connection.ask(JobRecord, "GET", self._route)
        return self.record

    def events(self) -> Iterator[JobRecord]:
        """Follow the job.

        Yields:
            What the server says of it, whenever that has changed; the last one is final.

        Raises:
            RequestError: The server has removed the job, refuses, cannot be reached, or the connection ends
                before the job does.
        """
        try:
            yield from self._follow(_SILENCE)
        except httpx2.HTTPError as error:
            raise self._connection.no_answer(error) from error
        if self.state not in FINAL:
            raise RequestError(
                f"The connection ended before the job {self.id} did, which may go on. Follow it again, or "
                "wait for it.",
                status=503,
                code="LEX-REQ-1650",
            )

    def wait(self, *, timeout_s: float | None = None) -> JobRecord:
        """Wait until the job has ended, also where the connection breaks or the server is busy meanwhile.

        Args:
            timeout_s: Seconds to wait at most; None waits as long as the job takes.

        Returns:
            What the server says of the job, whose state is "done". Single images may have failed: `failed`
            counts them, and predictions.jsonl of the outputs says why.

        Raises:
            RequestError: The job failed or was cancelled, has not ended in time (it goes on), was removed, or
                the server cannot be reached.
        """
        until = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while self.state not in FINAL and not self._is_cancelled:
            try:
                self._follow_once(until)
            except RequestError as error:
                if error.status != _BUSY:
                    raise
                _pause(error.retry_after or _PAUSE, until)
            if self.state not in FINAL and time.monotonic() >= until:
                raise RequestError(
                    f"The job {self.id} has not ended within {timeout_s:g} seconds: it is {self.state}, with "
                    f"{self.record.done} of {counted(self.record.images, 'image')} predicted. It goes on; "
                    "wait for it again, or cancel it.",
                    status=504,
                    code="LEX-REQ-1651",
                )
        return self._done()

    def cancel(self) -> JobRecord:
        """Cancel the job where it has not ended, and remove its files and outputs from the server.

        Returns:
            What the server said of it last. A job that runs ends after its present image or slice.

        Raises:
            RequestError: The server has removed the job already, refuses, or cannot be reached.
        """
        self.record = self._connection.ask(JobRecord, "DELETE", self._route)
        self._is_cancelled = True  # the server does not know it any more
        return self.record

    def download(self, out: str | Path) -> Path:
        """Download the outputs of a job that is done.

        Args:
            out: A name that ends with ".zip": the outputs become this file, and a file there is replaced.
                Any other name: the outputs are unpacked into this folder, which must not exist yet, or be
                empty. Either appears only when it is complete. On Windows, "%" and two digits stand in names
                for what it forbids, such as ":"; predictions.jsonl keeps the names.

        Returns:
            The file or the folder.

        Raises:
            RequestError: The job is not done, the server has removed it, cannot be reached, or sends
                something else than the outputs.
            UsageError: The folder holds something already, or is a file.
            DataError: The outputs cannot be unpacked safely; nothing is written then.
            DiskError: There is no space or no permission.
        """
        out = Path(out)
        if out.suffix.lower() == ".zip":
            with atomic_path(out) as beside:
                self._fetch(beside)
            return out
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            raise UsageError(
                f"{out} exists already and is no empty folder. Give a new folder for the outputs of the job, "
                "or a name that ends with .zip.",
                code="LEX-USE-1651",
            )
        with reserve_folder(out), temporary_folder(out) as place:
            packed = place / "outputs.zip"
            self._fetch(packed)
            with atomic_folder(out) as folder:
                try:
                    extract(packed, folder, depth=1)
                except LexisegError as error:
                    raise named(error, packed, f"The zip file of the job {self.id}") from error
        return out

    def __repr__(self) -> str:
        record = self.record
        return brief(self, record.id[:8], self.state, f"{record.done} of {counted(record.images, 'image')}")

    @property
    def _route(self) -> str:
        return f"/v1/jobs/{self.id}"

    def _follow(self, silence: float, until: float = float("inf")) -> Iterator[JobRecord]:
        """Yield each state that the server sends, until the stream ends.

        Args:
            silence: Most seconds without a byte.
            until: A time of the monotonic clock. Close to it, the stream is left after any line: a further
                one could come too late.

        Raises:
            RequestError: The server refuses, or sends something else.
            httpx2.HTTPError: The connection fails.
        """
        silence = min(silence, max(until - time.monotonic(), 0.01))
        with self._connection.streamed(f"{self._route}/events", silence=silence) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.record = self._connection.record(
                        JobRecord, line.removeprefix("data:"), answer.status_code
                    )
                    yield self.record
                    if self.state in FINAL:
                        return
                left = until - time.monotonic()
                if left <= 0 or silence > left + _PAUSE:
                    return

    def _follow_once(self, until: float) -> None:
        """Follow the job until the stream ends or breaks; then ask how far it is.

        Raises:
            RequestError: The server refuses, cannot be reached, or sends something else.
        """
        with suppress(httpx2.HTTPError):
            for _ in self._follow(_SILENCE, until):
                pass
        if self.state not in FINAL:
            _pause(_PAUSE, until)
            self.refresh()  # an error where the server is gone

    def _done(self) -> JobRecord:
        record = self.record
        if record.state == "done":
            return record
        why = "" if record.error is None else f": {record.error.message} [{record.error.code}]"
        if record.state != "failed":
            raise RequestError(
                f"The job {self.id} was cancelled{why or '.'}", status=409, code="LEX-REQ-1652"
            )
        raise RequestError(
            f"The job {self.id} failed{why}",
            status=422,
            code="LEX-REQ-1653",
        )

    def _fetch(self, file: Path) -> None:
        """Write the zip file of the outputs."""
        expected = (self.record if self.state in FINAL else self.refresh()).bytes
        received = 0
        try:
            with (
                self._connection.streamed(f"{self._route}/result", silence=_SILENCE) as answer,
                open(file, "wb") as written,
            ):
                for piece in answer.iter_bytes():
                    received += written.write(piece)
        except httpx2.HTTPError as error:
            raise self._connection.no_answer(error) from error
        if received != expected:
            raise RequestError(
                f"The outputs of the job {self.id} are {expected} bytes, but {received} came. Download them "
                "again.",
                status=502,
                code="LEX-REQ-1654",
            )


def _pause(seconds: float, until: float) -> None:
    """Wait, but not longer than until a time of the monotonic clock."""
    time.sleep(max(0.0, min(seconds, until - time.monotonic())))
