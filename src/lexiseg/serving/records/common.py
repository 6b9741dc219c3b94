"""What answers of all routes share: types, errors, and the version of a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lexiseg.json_records import Record

Size = tuple[int, int]
Point = tuple[float, float]
#: A PNG file in base64.
Png = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"})]
#: The bytes of a file in base64.
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
#: Which images come back with a preview: DICOM files, all, or none.
PreviewChoice = Literal["dicom", "always", "never"]
#: What a token may do. "predict" includes refinement; "jobs" is for jobs; "metrics" for /metrics.
Scope = Literal["predict", "jobs", "metrics"]


class ErrorRecord(Record):
    """Why something was refused.

    Attributes:
        code: Stable code, such as "LEX-DATA-013"; docs/reference/errors.md lists cause and remedy of each.
        message: What was expected, what came, and how to correct it, for a person.
    """

    code: str
    message: str


class RefusalRecord(Record):
    """The body of every answer with a status from 400 up.

    Attributes:
        error: Why the request was refused.
        request_id: Number of the request, as in the log of the server.
    """

    error: ErrorRecord
    request_id: str


class ModelVersion(Record):
    """The model that computed an answer.

    Attributes:
        name: Its name, as in /v1/models.
        version: SHA-256 of the files of the run that its results depend on.
        lexiseg_version: Version of Lexiseg that computed.
    """

    name: str
    version: str
    lexiseg_version: str
