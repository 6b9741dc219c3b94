"""The description of the interface, OpenAPI 3.1: bodies, refusals, and descriptions from the records."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from lexiseg._version import __version__
from lexiseg.json_records import Record
from lexiseg.schemas import attribute_texts
from lexiseg.serving import request_forms
from lexiseg.serving.interface_examples import EXAMPLES
from lexiseg.serving.records import common, health, jobs, models, predictions, refinements
from lexiseg.serving.records.common import RefusalRecord

_ABOUT = """Segments medical images by models that were taught with words. Research software, not a medical \
device: not for clinical use.

Every answer with a status from 400 up has the same body: a stable code, and a message that says how to \
correct the request."""

#: The records of the interface, by name.
RECORDS: dict[str, type[Record]] = {
    name: kind
    for module in (common, predictions, refinements, models, jobs, health, request_forms)
    for name, kind in vars(module).items()
    if inspect.isclass(kind) and issubclass(kind, Record)
}

_KINDS = "A PNG, JPEG, TIFF, BMP, WebP or DICOM file."
_STATUSES = {
    400: "The body of the request is damaged.",
    401: "The server asks for a token, or does not know this one.",
    403: "The token, or the page that sends the request, may not do this.",
    404: "There is no such model, phrase or job.",
    408: "The upload of a job takes too long, or pauses too long.",
    413: "The request is larger than the server takes.",
    415: "The body has another type than expected.",
    421: "The request names another host.",
    422: "The request is understood and cannot be carried out.",
    429: "The server has no place left. The header Retry-After says when to send the request again.",
    503: "The request takes too long, or the machine has no memory or process left.",
    507: "The disk space for jobs, or the disk of the server, is full.",
}

#: The answers that refuse a request, for any route.
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": RefusalRecord, "description": text} for status, text in _STATUSES.items()
}


def json_answer(record: Record, status: int = 200) -> Response:
    """Return a record as an answer."""
    return Response(record.model_dump_json(), status, media_type="application/json")


def form_body(
    fields: type[Record],
    *,
    several: bool,
    kinds: str = _KINDS,
    also: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the description of a multipart body with images.

    Args:
        fields: Its other fields.
        several: Whether it takes several images.
        kinds: Which kinds of files it takes, as a sentence.
        also: Descriptions of bodies of other types.
    """
    file = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    image: dict[str, Any] = {**file, "description": kinds}
    if several:
        image = {"type": "array", "items": file, "minItems": 1, "description": f"Each is: {kinds}"}
    texts = _texts(fields)
    schema = fields.model_json_schema()
    properties: dict[str, Any] = {"image": image}
    for name, field in schema["properties"].items():
        field.pop("title", None)
        properties[name] = {**field, "description": texts.get(name, "")}
    body = {
        "type": "object",
        "properties": properties,
        "required": ["image", *schema.get("required", ())],
        "additionalProperties": False,
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": body}, **(also or {})},
        }
    }


def json_body(kind: type[Record]) -> dict[str, Any]:
    """Return the description of a JSON body."""
    schema = kind.model_json_schema()
    texts = _texts(kind)
    for name, field in schema["properties"].items():
        field["description"] = texts.get(name, "")
    example = {"urls": ["https://images.example.org/1.png"]}
    return {"application/json": {"schema": schema, "example": example}}


def describe_interface(app: FastAPI) -> None:
    """Let an application describe itself with texts of the records and with examples."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(
                get_openapi(
                    title="Lexiseg",
                    version=__version__,
                    openapi_version="3.1.0",
                    description=_ABOUT,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(description: dict[str, Any]) -> dict[str, Any]:
    """Add the texts of the records and the examples."""
    for name, schema in description["components"]["schemas"].items():
        if name not in RECORDS:
            continue
        texts = _texts(RECORDS[name])
        summary = inspect.getdoc(RECORDS[name]) or ""
        schema["description"] = " ".join(summary.partition("\n\n")[0].split())
        for field, about in schema.get("properties", {}).items():
            about.pop("title", None)
            if field in texts:
                about["description"] = texts[field]
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    return description


def _texts(kind: type[Record]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        texts |= attribute_texts(base.__doc__ or "")
    return texts
