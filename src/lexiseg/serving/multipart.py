"""Reading of multipart bodies while they arrive: fields into memory, files into what the caller opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Generic, Protocol, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lexiseg.errors import RequestError
from lexiseg.printable import printable

# Bytes of a field that is no file, and numbers of fields and of headers of a part.
_FIELD_BYTES, _FIELDS = 64 << 10, 100
_LONGEST_NAME = 200


class Sink(Protocol):
    """Takes the bytes of one file."""

    def write(self, content: bytes, /) -> int:
        """Take the next bytes."""
        ...


AnySink = TypeVar("AnySink", bound=Sink)


@dataclass(frozen=True, kw_only=True)
class FormLimits:
    """Limits of a form.

    Attributes:
        file_bytes: Returns the bytes that a file of a name may have.
        files: Number of files.
    """

    file_bytes: Callable[[str], int]
    files: int


@dataclass(frozen=True)
class FormFile(Generic[AnySink]):
    """One file of a form.

    Attributes:
        field: Name of the field.
        name: Last part of the file name that the client states, printable; its position without one.
        sink: What its bytes were written to.
    """

    field: str
    name: str
    sink: AnySink


@dataclass
class Form(Generic[AnySink]):
    """A form.

    Attributes:
        fields: The values of each field, in their order.
        files: The files, in their order.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[FormFile[AnySink]] = field(default_factory=list)


class FormReader(Generic[AnySink]):
    """Reads a multipart body piece by piece.

    Args:
        content_type: The header Content-Type of the request.
        open_file: Opens what the bytes of the next file are written to; it gets the name of the file.
        limits: Limits of the form.
        end_file: Called with what `open_file` gave, when the last bytes of the file are written.

    Raises:
        RequestError: It is no multipart body.
    """

    def __init__(
        self,
        content_type: str,
        *,
        open_file: Callable[[str], AnySink],
        limits: FormLimits,
        end_file: Callable[[AnySink], None] = lambda sink: None,
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise RequestError(
                "Expected a body of the type multipart/form-data with a boundary, got "
                f"{repr(printable(content_type)[:80]) if content_type else 'no type'}. Send each image as a "
                "file in the field 'image', as curl -F image=@FILE does.",
                status=415,
                code="LEX-REQ-1101",
            )
        self._form: Form[AnySink] = Form()
        self._open_file, self._end_file, self._limits = open_file, end_file, limits
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._name = ""
        self._sink: AnySink | None = None
        self._value = bytearray()
        self._written = self._most = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, content: bytes) -> None:
        """Read the next piece of the body.

        Raises:
            RequestError: The body is damaged, or above a limit.
        """
        try:
            self._parser.write(content)
        except FormParserError as error:
            raise _damaged() from error

    def finish(self) -> Form[AnySink]:
        """Return the form after the last piece.

        Raises:
            RequestError: The body ends too early.
        """
        if not self._ended:
            raise RequestError(
                "The multipart body of the request ends too early. Send it again.", code="LEX-REQ-1103"
            )
        return self._form

    def _on_part_begin(self) -> None:
        self._disposition, self._name = b"", ""
        self._sink, self._written = None, 0
        self._value.clear()

    def _on_header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        name.clear()
        value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _damaged()
        self._name = options[b"name"].decode("utf-8", errors="replace")
        if b"filename" not in options:
            return
        files = self._form.files
        if len(files) >= self._limits.files:
            raise RequestError(
                f"The request holds more than {self._limits.files} files. Send several requests, or a job.",
                status=413,
                code="LEX-REQ-1104",
            )
        stated = options[b"filename"].decode("utf-8", errors="replace")
        name = _file_name(stated, len(files) + 1)
        self._most = self._limits.file_bytes(name)
        self._sink = self._open_file(name)
        files.append(FormFile(self._name, name, self._sink))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._written += end - start
        if self._sink is None:
            if self._written > _FIELD_BYTES:
                raise RequestError(
                    f"The field {printable(self._name)[:80]!r} holds more than {_FIELD_BYTES} bytes.",
                    status=413,
                    code="LEX-REQ-1105",
                )
            self._value += data[start:end]
            return
        if self._written > self._most:
            raise RequestError(
                f"The file {self._form.files[-1].name!r} is larger than {self._most:,} bytes, the limit of "
                "the server. Send a smaller one.",
                status=413,
                code="LEX-REQ-1106",
            )
        self._sink.write(data[start:end])

    def _on_part_end(self) -> None:
        if self._sink is not None:
            self._end_file(self._sink)
            return
        if sum(map(len, self._form.fields.values())) >= _FIELDS:
            raise _damaged()
        text = self._value.decode("utf-8", errors="replace")
        self._form.fields.setdefault(self._name, []).append(text)

    def _on_end(self) -> None:
        self._ended = True


def _file_name(stated: str, position: int) -> str:
    """Return the last part of a file name, printable and not too long."""
    name = printable(PurePosixPath(stated.replace("\\", "/")).name).strip()
    return name[-_LONGEST_NAME:] if name.strip(".") else f"image {position}"


def _damaged() -> RequestError:
    return RequestError(
        "The multipart body of the request cannot be read. Send it again; curl and the client of Lexiseg "
        "make correct ones.",
        code="LEX-REQ-1102",
    )
