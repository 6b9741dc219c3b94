"""The record of the state of the server."""

from __future__ import annotations

from typing import Literal

from lexiseg.json_records import Record


class HealthRecord(Record):
    """The answer of GET /healthz and GET /readyz.

    Attributes:
        status: "ok"; "stopping" while the last requests end.
        version: Version of Lexiseg.
    """

    status: Literal["ok", "stopping"]
    version: str
