"""The bodies of requests: read within the limits, and checked."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from lexiseg.clinic.view import View, parse_view
from lexiseg.errors import RequestError
from lexiseg.files import disk_errors
from lexiseg.json_records import Record
from lexiseg.serving.isolated_decoding import UploadedImage
from lexiseg.serving.limits import Holding, Limits
from lexiseg.serving.multipart import AnySink, Form, FormLimits, FormReader
from lexiseg.serving.records.common import PreviewChoice
from lexiseg.structured_text import UnusableTextError, parse_json
from lexiseg.validation import explain

AnyRecord = TypeVar("AnyRecord", bound=Record)


class PredictForm(Record):
    """The fields of POST /v1/predict besides the images.

    Attributes:
        model: Name of the model; None takes the default one.
        preview: Which results get a preview.
        exact: Whether results hold an `ExactRecord`.
        window: DICOM: centre and width of the grey values shown, such as "40,400", or "body-part"; None for
            the window of the file.
        frame: DICOM: number of the frame, from 1, in files with several frames.
    """

    model: str | None = None
    preview: PreviewChoice = "dicom"
    exact: bool = False
    window: str | None = None
    frame: int | None = Field(default=None, ge=1)

    @property
    def view(self) -> View:
        """What of a DICOM file is shown.

        Raises:
            UsageError: The window cannot be read.
        """
        return parse_view(self.window, self.frame)


class RefineForm(PredictForm):
    """The fields of POST /v1/refine besides the image; see `PredictForm`.

    Attributes:
        say: What is right: free text, or a JSON object with a phrase per factor.
    """

    say: str = Field(min_length=1, max_length=10_000)

    @property
    def said(self) -> str | dict[str, str]:
        """What is right, as text, or as a phrase per factor.

        Raises:
            RequestError: It begins like a JSON object and is none of texts.
        """
        if not self.say.lstrip().startswith("{"):
            return self.say
        try:
            said = parse_json(self.say)
        except UnusableTextError as error:
            raise RequestError(
                f"The field 'say' begins like a JSON object and cannot be read ({error}). Send free text, or "
                'an object such as {"left": "lower left lung"}.',
                status=422,
                code="LEX-REQ-1114",
            ) from error
        if not said or not all(isinstance(phrase, str) for phrase in said.values()):
            raise RequestError(
                "The field 'say' must hold a phrase for each factor that it names, such as "
                '{"left": "lower left lung"}.',
                status=422,
                code="LEX-REQ-1115",
            )
        return dict(said)


class JobForm(Record):
    """The fields of POST /v1/jobs besides the images.

    Attributes:
        model: Name of the model; None takes the default one.
        formats: The outputs, separated by commas, as in `lexiseg predict --write`.
    """

    model: str | None = None
    formats: str = Field(default="mask", max_length=200)

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs, each once."""
        names = (name.strip() for name in self.formats.split(","))
        return tuple(dict.fromkeys(name for name in names if name))


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
        limits=FormLimits(file_bytes=limits.file_bytes, files=limits.images),
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
        open_file: Opens the file of the next image, whose name it gets.

    Raises:
        RequestError: As for `read_images`.
        DiskError: There is no space or no permission.
    """
    reader = FormReader(
        request.headers.get("content-type", ""),
        open_file=open_file,
        limits=FormLimits(file_bytes=limits.file_bytes, files=limits.job_images),
    )
    with disk_errors("the private folder of jobs"):
        await _feed(request, reader, limits.job_bytes, None)
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


async def _feed(request: Request, reader: FormReader[AnySink], most: int, holding: Holding | None) -> None:
    async for piece in _pieces(request, most, holding):
        reader.feed(piece)


async def _pieces(request: Request, most: int, holding: Holding | None) -> AsyncIterator[bytes]:
    """Yield the body of a request piece by piece.

    Raises:
        RequestError: It is above the limit, or the client has gone.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
        raise _too_large(most)
    size = 0
    try:
        async for piece in request.stream():
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


def _too_large(most: int) -> RequestError:
    return RequestError(
        f"The body of the request is larger than {most:,} bytes, the limit of the server. Send several "
        "requests, or a job.",
        status=413,
        code="LEX-REQ-1121",
    )
