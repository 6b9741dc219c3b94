"""Logs of libraries that send requests: their lines show addresses without what follows "?"."""

from __future__ import annotations

import logging
import re

# Lexiseg does not switch these logs on; a program that uses it, or a variable of the environment, may.
_LOGGERS = (
    "fsspec.http",
    "httpx",
    "httpx2",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)
_QUERY = re.compile(r"\?[^\s'\"<>]*")


class _WithoutQueries(logging.Filter):
    """Removes queries from a record, and keeps the record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True."""
        said = record.getMessage()
        shown = _QUERY.sub("?...", said)
        if shown != said:
            record.msg, record.args = shown, ()
        return True


_FILTER = _WithoutQueries()


def hide_queries() -> None:
    """Remove queries of addresses from the logs of libraries: they hold keys, or names of patients."""
    for name in _LOGGERS:
        # The same filter counts once.
        logging.getLogger(name).addFilter(_FILTER)
