"""Records: the typed content of the JSON files that Lexiseg writes, checked when it is read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from lexiseg.errors import DataError
from lexiseg.files import json_text, write_text
from lexiseg.structured_text import UnusableTextError, read_json
from lexiseg.validation import explain


class Record(BaseModel):
    """Base of all records: fields cannot be changed, and unknown fields are refused."""

    # pydantic 2.9 warns of fields whose names begin with "model_", such as `model_file`.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class FileRecord(Record):
    """A record that is a whole file, or a whole line of a file of lines.

    Attributes:
        schema_version: Version of the file's schema. It rises when a field changes its meaning.
    """

    schema_version: Literal[1] = 1


class PartlyWritten(BaseModel):
    """Base of models of which some fields are written only where they say more than their default.

    Earlier readers of the same format do not know such fields. The JSON schema lists all fields.

    Attributes:
        LEFT_OUT: Names of these fields; None for all fields that have a default.
    """

    LEFT_OUT: ClassVar[frozenset[str] | None] = None

    @model_serializer(mode="wrap")
    def _what_applies(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if not self.is_left_out(name)}

    def is_left_out(self, name: str) -> bool:
        """Return whether a field is not written, because it has its default."""
        if self.LEFT_OUT is not None and name not in self.LEFT_OUT:
            return False
        field = type(self).model_fields[name]
        return not field.is_required() and bool(
            getattr(self, name) == field.get_default(call_default_factory=True)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(_of_fields(schema))


def _of_fields(schema: Any) -> Any:
    """Return the schema of a model without its serializer, which hides what fields there are."""
    kept = {key: value for key, value in schema.items() if key != "serialization"}
    if schema["type"].startswith("function-"):  # a validator of the whole model
        kept["schema"] = _of_fields(schema["schema"])
    return kept


AnyRecord = TypeVar("AnyRecord", bound=Record)


def reason(kind: type[BaseModel], error: Exception) -> str:
    """Return why a file cannot be read as a record, for a message.

    Args:
        kind: The class of the record.
        error: What reading the file raised: a `ValidationError`, or an error of its text or its path.
    """
    if isinstance(error, ValidationError):
        return explain(kind, error)
    return str(error) if isinstance(error, UnusableTextError | OSError) else repr(error)


def write_record(path: str | Path, record: Record) -> None:
    """Write a record as indented JSON, whole or not at all.

    Raises:
        DiskError: There is no space or no permission.
        ValueError: A number is NaN or infinite.
    """
    write_text(path, record_text(record))


def record_text(record: Record) -> str:
    """Return a record as indented JSON.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    return json_text(record.model_dump(mode="json"))


def record_sha256(record: Record) -> str:
    """Return the SHA-256 of a record as `record_text` writes it."""
    return hashlib.sha256(record_text(record).encode()).hexdigest()


def read_record(path: str | Path, kind: type[AnyRecord], *, remedy: str) -> AnyRecord:
    """Read a record.

    Args:
        path: The file, as `write_record` wrote it.
        kind: The class of the record.
        remedy: What the user can do if the file is damaged; the last sentence of the error.

    Raises:
        DataError: The file is missing, is no JSON, or does not match the schema.
    """
    try:
        return kind.model_validate(read_json(path))
    except (OSError, UnusableTextError, ValidationError) as error:
        raise DataError(
            f"{path} cannot be read ({reason(kind, error)}). {remedy}", code="LEX-DATA-550"
        ) from error
