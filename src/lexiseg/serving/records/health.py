"""Records of the state of the server."""

from __future__ import annotations

from typing import Literal

from lexiseg.json_records import Record
from lexiseg.serving.records.common import ErrorRecord


class HealthRecord(Record):
    """The answer of GET /healthz.

    Attributes:
        status: "ok"; "stopping" while the last requests end; "no_token_valid" while the token file cannot be
            read.
        version: Version of Lexiseg.
    """

    status: Literal["ok", "stopping", "no_token_valid"]
    version: str


class ModelState(Record):
    """One model of the server.

    Attributes:
        name: Its name.
        version: SHA-256 of the files of the run that its results depend on.
        loaded: When it was loaded: ISO date and time, UTC.
        problem: Why the present files of the run are not used, so that the model of before answers; None if
            they are.
    """

    name: str
    version: str
    loaded: str
    problem: ErrorRecord | None


class ReadyRecord(HealthRecord):
    """The answer of GET /readyz.

    Attributes:
        status: "ok"; "stopping" while the last requests end; "no_token_valid" while the token file cannot be
            read.
        version: Version of Lexiseg.
        models: The models, the default one first. A model with a problem answers requests all the same.
        tokens: Why no token is valid; None where tokens are, or where the server asks for none.
    """

    models: tuple[ModelState, ...]
    tokens: ErrorRecord | None
