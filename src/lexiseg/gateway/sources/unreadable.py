"""A source that cannot be read at the moment: health names it until a pass over it succeeds."""

from __future__ import annotations


class UnreadableSourceError(Exception):
    """A pass over a source failed as a whole; the next one comes after the usual pause.

    Args:
        reason: Kind of the error, for log and health, without data of patients.

    Attributes:
        reason: As given.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
