"""The server's side of the processes that read volumes."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from lexiseg.errors import DataError, ResourceError
from lexiseg.serving.child_process import (
    CHILD_FOLDER,
    HEAD,
    child_command,
    child_environment,
    write_message,
)
from lexiseg.serving.limits import Limits
from lexiseg.serving.volumes.reading_process import VolumeAnswer, VolumeRequest
from lexiseg.structured_text import parse_json

# Seconds between two looks whether an answer is late.
_LOOK_SECONDS = 0.2


class VolumeProcess:
    """A process that reads one volume; threads may share it.

    Args:
        limits: Limits of the server.
        label: What messages call the volume.
        stop: Set when nobody waits for the volume any more; the process then ends.

    Raises:
        ResourceError: The machine starts no more processes.
    """

    def __init__(self, limits: Limits, label: str, stop: threading.Event) -> None:
        self._limits, self._label, self._stop = limits, label, stop
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                child_command("lexiseg.serving.volumes.reading_process", limits.decode_bytes),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
                cwd=CHILD_FOLDER,
                start_new_session=True,
            )
        except OSError as error:
            raise ResourceError(
                f"The process that reads volumes cannot be started ({error}). Let the server start more "
                "processes.",
                code="LEX-RES-1450",
            ) from error

    def ask(self, request: VolumeRequest, content: bytes = b"") -> tuple[VolumeAnswer, bytes]:
        """Return the answer to a request, and the bytes that follow it.

        Raises:
            LexisegError: The volume cannot be read, takes too long, or ends its process.
        """
        assert self._process.stdin is not None
        answered, late = threading.Event(), threading.Event()
        with self._lock:
            threading.Thread(target=self._end_late, args=(answered, late), daemon=True).start()
            try:
                write_message(self._process.stdin, request, content)
                size, length = HEAD.unpack(self._read(HEAD.size))
                if max(size, length) > self._limits.decode_bytes:  # a process that a file has taken over
                    raise EOFError
                answer = VolumeAnswer.model_validate(parse_json(self._read(size)))
                follows = self._read(length)
            except (OSError, EOFError, ValueError) as error:
                label = request.path if request.wanted == "headers" else self._label
                raise self._broken(label, late=late.is_set()) from error
            finally:
                answered.set()
        answer.raise_error()
        return answer, follows

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent yet
                    stream.close()

    def _end_late(self, answered: threading.Event, late: threading.Event) -> None:
        """End the process where its answer takes too long, or nobody waits for it any more."""
        until = time.monotonic() + self._limits.volume_seconds
        while not answered.wait(_LOOK_SECONDS):
            if time.monotonic() > until:
                late.set()
            if late.is_set() or self._stop.is_set():
                self._process.kill()
                return

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        found = self._process.stdout.read(size)
        if len(found) < size:
            raise EOFError
        return found

    def _broken(self, label: str, *, late: bool) -> DataError:
        if late:
            return DataError(
                f"{label} takes longer to read than {self._limits.volume_seconds:g} seconds, the limit "
                "of the server. Save it without compression.",
                code="LEX-DATA-1452",
            )
        return DataError(
            f"{label} is damaged: it ends the process that reads it. Replace the file.",
            code="LEX-DATA-1453",
        )


class VolumeProcesses:
    """The processes that read the volumes of a job, one at a time; the last one ends with the `with` block.

    Args:
        limits: Limits of the server.
        stop: Set when nobody waits for the volumes any more.
    """

    def __init__(self, limits: Limits, stop: threading.Event) -> None:
        self.limits, self._stop = limits, stop
        self._running: VolumeProcess | None = None

    def __enter__(self) -> Self:
        """Return the processes; none is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the last process."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def next(self, label: str) -> VolumeProcess:
        """Start a process for the next volume, and end that of the one before.

        Args:
            label: What messages call the volume.

        Raises:
            ResourceError: The machine starts no more processes.
        """
        self.__exit__(None, None, None)
        self._running = VolumeProcess(self.limits, label, self._stop)
        return self._running
