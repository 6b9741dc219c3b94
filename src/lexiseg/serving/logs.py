"""The log of a server: a line of JSON per event, without names of files or data of patients and clients."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from lexiseg.log_lines import log_line

#: Number of the request that is being worked on; empty outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")

# Fields of a record of `logging` that are no extra ones.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Writes a log record as one line of JSON.

    Of an error only its class is written, not its message: it could hold what a request held.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, Any] = {}
        if number := request_id.get():
            fields["request_id"] = number
        fields |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            fields |= {"error": type(error).__name__, "at": _place(error)}
        return log_line(
            record.getMessage(),
            level=record.levelname.lower(),
            moment=datetime.fromtimestamp(record.created, UTC),
            fields=fields,
        )


def log_to_stderr() -> None:
    """Write the log of the server to the standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("lexiseg.serving", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "lexiseg.serving" else logging.WARNING)


def _place(error: BaseException) -> str:
    """Return the module and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
