"""Lines of the logs of a server and of a gateway: one event, one line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python

from lexiseg.printable import printable_json


def log_line(event: str, *, level: str, moment: datetime, fields: Mapping[str, Any]) -> str:
    """Return an event as one line of JSON, without the line break.

    Args:
        event: What happened, such as "received".
        level: How grave it is: "info", "warning" or "error".
        moment: When it happened; the line states it in UTC, with milliseconds.
        fields: What else is known, by name. Of a value that JSON does not know, its text is written.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    head = {
        "time": moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "event": event,
    }
    return printable_json(head | to_jsonable_python(dict(fields), fallback=str))
