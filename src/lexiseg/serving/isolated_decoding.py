"""Decoding of images in processes of their own, which are ended where they take too long."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass

import numpy as np

from lexiseg.clinic.view import View
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.grey import three_channels
from lexiseg.errors import DataError, ResourceError
from lexiseg.serving.child_process import CHILD_FOLDER, HEAD, child_command, child_environment
from lexiseg.serving.decoding_process import DecodingAnswer, DecodingRequest
from lexiseg.serving.limits import Limits
from lexiseg.structured_text import parse_json

# An answer up to twice as long is read without a pause.
_BUFFERED_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class UploadedImage:
    """An image as it came.

    Attributes:
        name: Its name, for messages.
        content: Its bytes.
        view: The window and the frame of a DICOM file.
    """

    name: str
    content: bytes
    view: View


class IsolatedDecoding:
    """Processes that decode images, one image each at a time.

    Args:
        processes: Number of processes.
        limits: Limits of the server.
    """

    def __init__(self, processes: int, limits: Limits) -> None:
        self._count, self._limits = processes, limits
        # None stands for a process that is started when the next image comes.
        self._free: asyncio.Queue[Process | None] = asyncio.Queue()
        self._all: set[Process] = set()

    async def start(self) -> None:
        """Start the processes."""
        for process in await asyncio.gather(*(self._new() for _ in range(self._count))):
            self._free.put_nowait(process)

    async def stop(self) -> None:
        """End the processes."""
        ending = list(self._all)
        for process in ending:
            _kill(process)
        await asyncio.gather(*(process.wait() for process in ending))
        self._all.clear()

    async def decode(self, upload: UploadedImage) -> DecodedImage:
        """Decode an image.

        Raises:
            DataError: It cannot be read, is above a limit, takes too long, or ends its process.
            UsageError: It is a DICOM file, and pydicom is not installed.
            ResourceError: The machine starts no more processes.
        """
        process = await self._running()
        try:
            async with asyncio.timeout(self._limits.decode_seconds):
                answer, pixels = await self._ask(process, upload)
        except BaseException as error:
            # Its answer would be taken for that of the next image.
            _kill(process)
            # Nothing is awaited here: a request that is cancelled meanwhile must not lose the place.
            self._free.put_nowait(None)
            if isinstance(error, TimeoutError):
                raise DataError(
                    f"{upload.name} takes longer to decode than {self._limits.decode_seconds:g} s, the "
                    "limit of the server. Save it as PNG without compression.",
                    code="LEX-DATA-1104",
                ) from error
            if isinstance(error, asyncio.IncompleteReadError | OSError):
                raise DataError(
                    f"{upload.name} is damaged: it ends its decoder. Replace the file.", code="LEX-DATA-1105"
                ) from error
            raise
        self._free.put_nowait(process)
        answer.raise_error()
        decoded = np.frombuffer(pixels, np.uint8).reshape(answer.shape)
        if answer.shape[2] == 1:
            decoded = three_channels(decoded[..., 0])
        return DecodedImage(pixels=decoded, facts=answer.facts, orientation=answer.orientation)

    async def _running(self) -> Process:
        """Return a process that waits for an image; one that has ended meanwhile is replaced.

        Raises:
            ResourceError: The machine starts no more processes.
        """
        process = await self._free.get()
        if process is not None and process.returncode is None:
            return process
        try:
            return await self._new()
        except BaseException:
            self._free.put_nowait(None)
            raise

    async def _ask(self, process: Process, upload: UploadedImage) -> tuple[DecodingAnswer, bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        request = DecodingRequest(
            name=upload.name, view=upload.view, pixels=self._limits.pixels, frames=self._limits.frames
        )
        about = request.model_dump_json().encode()
        process.stdin.writelines((HEAD.pack(len(about), len(upload.content)), about, upload.content))
        await process.stdin.drain()
        size, length = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
        answer = DecodingAnswer.model_validate(parse_json(await process.stdout.readexactly(size)))
        return answer, await process.stdout.readexactly(length)

    async def _new(self) -> Process:
        """Start a process.

        Raises:
            ResourceError: The machine starts no more processes.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *child_command("lexiseg.serving.decoding_process", self._limits.decode_bytes),
                stdin=PIPE,
                stdout=PIPE,
                limit=_BUFFERED_BYTES,
                stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(),
                cwd=CHILD_FOLDER,
                # Signals of the terminal are for the server, which ends its processes itself.
                start_new_session=True,
            )
        except OSError as error:
            raise ResourceError(
                f"The process that decodes images cannot be started ({error}). Let the server start more "
                "processes.",
                code="LEX-RES-1100",
            ) from error
        self._all = {known for known in self._all if known.returncode is None} | {process}
        return process


def _kill(process: Process) -> None:
    """End a process that may have ended by itself."""
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            return
