"""The bodies of requests: read within the limits, and checked."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from lexiseg.clinic.view import View
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.errors import RequestError
from lexiseg.files import disk_errors
from lexiseg.json_records import Record
from lexiseg.serving.isolated_decoding import UploadedImage
from lexiseg.serving.jobs.archives import is_zip
from lexiseg.serving.limits import Holding, Limits
from lexiseg.serving.multipart import AnySink, Form, FormLimits, FormReader
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.validation import explain

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """A form with images.

    Attributes:
        fields: Its other fields.
        images: Name and content of each image.
    """

    fields: Mapping[str, Sequence[str]]
    images: tuple[tuple[str, bytes], ...]

    def uploads(self, view: View) -> list[UploadedImage]:
        """Return the images with the view of DICOM files."""
        return [UploadedImage(name=name, content=content, view=view) for name, content in self.images]


async def read_images(request: Request, limits: Limits, holding: Holding) -> ImageForm:
    """Read a multipart body with images into memory.

    Args:
        request: The request.
        limits: Limits of the server.
        holding: What the request holds of the memory for bodies.

    Raises:
        RequestError: The body is damaged, above a limit, or holds no image or something else.
    """
    reader = FormReader(
        request.headers.get("content-type", ""),
        open_file=lambda name: io.BytesIO(),
        limits=FormLimits(file_bytes=lambda name: limits.file_bytes, files=limits.images),
    )
    await _feed(request, reader, limits.request_bytes, holding)
    form = reader.finish()
    check_image_fields(form)
    return ImageForm(
        fields=form.fields, images=tuple((file.name, file.sink.getvalue()) for file in form.files)
    )


async def read_files(
    request: Request, limits: Limits, open_file: Callable[[str], BinaryIO]
) -> Form[BinaryIO]:
    """Read a multipart body with the images of a job into files.

    Args:
        request: The request.
        limits: Limits of the server.
        open_file: Opens the file of the next image, whose name it gets; it is closed when its last bytes are
            written, so thousands of them need no limit of the system.

    Raises:
        RequestError: As for `read_images`.
        DiskError: There is no space or no permission.
    """
    reader = FormReader(
        request.headers.get("content-type", ""),
        open_file=open_file,
        end_file=lambda file: file.close(),
        limits=FormLimits(file_bytes=lambda name: job_file_bytes(name, limits), files=limits.job_images),
    )
    with disk_errors("the private folder of jobs"):
        await _feed(request, reader, limits.job_bytes, None, silent=limits.silent_seconds)
    form = reader.finish()
    check_image_fields(form)
    return form


async def read_json_body(
    request: Request, kind: type[AnyRecord], limits: Limits, holding: Holding
) -> AnyRecord:
    """Read a JSON body.

    Raises:
        RequestError: It is above a limit, no JSON, or not as `kind` says.
    """
    content = bytearray()
    async for piece in _pieces(request, limits.request_bytes, holding):
        content += piece
    try:
        return kind.model_validate(parse_json(bytes(content)))
    except (UnusableTextError, ValidationError) as error:
        why = explain(kind, error) if isinstance(error, ValidationError) else str(error)
        raise RequestError(
            f"The body of the request cannot be read: {why}.", status=422, code="LEX-REQ-1116"
        ) from error


def check_image_fields(form: Form[AnySink]) -> None:
    """Refuse files in other fields than "image", and a form without any.

    Raises:
        RequestError: There are such files, or none.
    """
    others = sorted({file.field for file in form.files} - {"image"})
    if others or not form.files:
        raise RequestError(
            "Expected one or several files in the field 'image'"
            + (f", found files in {', '.join(map(repr, others))[:200]}." if others else ".")
            + " With curl: -F image=@FILE, with the sign @ before the path.",
            status=422,
            code="LEX-REQ-1117",
        )


def read_fields(kind: type[AnyRecord], fields: Mapping[str, Sequence[str]]) -> AnyRecord:
    """Return the fields of a form, checked; empty ones count as not stated.

    Raises:
        RequestError: A field is unknown, stated twice, missing or not possible.
    """
    twice = sorted(name for name, values in fields.items() if len(values) > 1)
    if twice:
        raise RequestError(
            f"The field {twice[0][:80]!r} is stated {len(fields[twice[0]])} times; expected once.",
            status=422,
            code="LEX-REQ-1118",
        )
    try:
        return kind.model_validate({name: values[0] for name, values in fields.items() if values[0] != ""})
    except ValidationError as error:
        raise RequestError(
            f"The fields of the request cannot be used: {explain(kind, error)}.",
            status=422,
            code="LEX-REQ-1119",
        ) from error


async def _feed(
    request: Request,
    reader: FormReader[AnySink],
    most: int,
    holding: Holding | None,
    *,
    silent: float | None = None,
) -> None:
    async for piece in _pieces(request, most, holding, silent=silent):
        reader.feed(piece)


async def _pieces(
    request: Request, most: int, holding: Holding | None, *, silent: float | None = None
) -> AsyncIterator[bytes]:
    """Yield the body of a request piece by piece.

    Args:
        request: The request.
        most: Most bytes.
        holding: What the request holds of the memory for bodies; None for what is written to the disk.
        silent: Seconds that the client may pause; None for any.

    Raises:
        RequestError: It is above the limit, the client pauses too long, or it has gone.
    """
    stated_bytes(request, most)
    size, pieces = 0, request.stream()
    try:
        while (piece := await _next(pieces, silent)) is not None:
            size += len(piece)
            if size > most:
                raise _too_large(most)
            if holding is not None:
                holding.add(len(piece))
            yield piece
    except ClientDisconnect as error:
        raise RequestError(
            "The client has gone before its request was read.", status=400, code="LEX-REQ-1120"
        ) from error


def stated_bytes(request: Request, most: int) -> int:
    """Return the bytes of a body, as the request states them; the most that it may have where it does not.

    Args:
        request: The request.
        most: Most bytes.

    Raises:
        RequestError: It states more.
    """
    stated = request.headers.get("content-length", "")
    if not stated.isdecimal():
        return most
    if int(stated) > most:
        raise _too_large(most)
    return int(stated)


def job_file_bytes(name: str, limits: Limits) -> int:
    """Return the bytes that a file of a job may have: volumes and zip files may be larger than images.

    Args:
        name: Its name.
        limits: Limits of the server.
    """
    return limits.volume_bytes if is_zip(name) or is_volume_file(Path(name)) else limits.file_bytes


async def _next(pieces: AsyncIterator[bytes], silent: float | None) -> bytes | None:
    """Return the next piece of a body; None after the last one.

    Raises:
        RequestError: It does not come in time.
    """
    try:
        async with asyncio.timeout(silent):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise RequestError(
            f"The upload has paused for {silent:g} seconds, the limit of the server. Send the job again.",
            status=408,
            code="LEX-REQ-1451",
        ) from error


def _too_large(most: int) -> RequestError:
    return RequestError(
        f"The body of the request is larger than {most:,} bytes, the limit of the server. Send several "
        "requests, or a job.",
        status=413,
        code="LEX-REQ-1121",
    )
