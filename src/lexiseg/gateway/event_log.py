"""The log of a gateway: one line of JSON per event, without data of patients.

Lines hold codes and hashes, never names, ids, texts of files or messages about files: a message may quote
them. The reason of an image in quarantine is in its file in the state folder.
"""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock
from typing import Literal, Protocol

from lexiseg.log_lines import log_line

Level = Literal["info", "warning", "error"]


class _Stream(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class EventLog:
    """Writes events; may be called from several threads.

    Args:
        stream: Where lines go, such as the standard output.
    """

    def __init__(self, stream: _Stream) -> None:
        self._stream, self._one_line = stream, Lock()

    def write(
        self,
        event: str,
        *,
        level: Level = "info",
        image: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        rule: str | None = None,
        code: str | None = None,
        patient: str | None = None,
        study: str | None = None,
        peer: str | None = None,
        count: int | None = None,
        seconds: float | None = None,
        error: str | None = None,
    ) -> None:
        """Write one event.

        Args:
            event: What happened, such as "received".
            level: How grave it is.
            image: Id of an image in the state folder.
            source: Name of a source.
            destination: Name of a destination.
            rule: Name of a rule.
            code: Code of an error.
            patient: Hash of a patient's id.
            study: Hash of a study's UID.
            peer: AE title or address of another system.
            count: Number of things.
            seconds: How long it took.
            error: Kind of an error of the machine or the network, such as "ConnectionRefusedError", or why a
                peer was rejected.
        """
        fields = {
            "image": image,
            "source": source,
            "destination": destination,
            "rule": rule,
            "code": code,
            "patient": patient,
            "study": study,
            "peer": peer,
            "count": count,
            "seconds": None if seconds is None else round(seconds, 3),
            "error": error,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        line = log_line(event, level=level, moment=datetime.now(UTC), fields=known)
        with self._one_line:
            self._stream.write(line + "\n")
            self._stream.flush()
