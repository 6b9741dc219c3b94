"""All errors meant for the user, with their exit codes on the command line.

Each place that raises an error gives it a code of its own, such as "LEX-DATA-012". Codes are stable: the text
of a message may change, its code does not. `docs/reference/errors.md` lists all codes with cause and remedy.
"""

from __future__ import annotations

from typing import Any

#: Code of an error raised outside the package, by a caller's own code.
UNCODED = "LEX-000"


class LexisegError(Exception):
    """Base of all errors meant for the user.

    A message says what was expected, what came, in which file, and the remedy.

    Args:
        message: The full message.
        code: The stable code of the place that raises it.

    Attributes:
        code: The stable code, such as "LEX-DATA-012".
        exit_code: What the command line returns.
    """

    exit_code = 1

    def __init__(self, message: str, *, code: str = UNCODED) -> None:
        super().__init__(message)
        self.code = code
        self.add_note(f"[{code}]")  # shown in tracebacks, also in those that worker processes send as text

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the code when the error is pickled by a worker process."""
        return rebuild_error, (type(self), str(self), self.code)


def rebuild_error(kind: type[LexisegError], message: str, code: str) -> LexisegError:
    """Return an error that another process raised."""
    return kind(message, code=code)


class UsageError(LexisegError):
    """An option, a configuration value or an argument is not possible."""

    exit_code = 2


class DataError(LexisegError):
    """A data set, image, mask or report sheet cannot be used."""

    exit_code = 3


class RunError(LexisegError):
    """A run folder is missing, incomplete, in use, or was written by a newer version."""

    exit_code = 4


class WeightsError(LexisegError):
    """Weights, a text encoder or a published checkpoint cannot be found or do not fit."""

    exit_code = 5


class DiskError(LexisegError):
    """There is no space, or no permission, to write a file."""

    exit_code = 6


class ResourceError(LexisegError):
    """The machine has too little memory, or allows too few threads or processes."""

    exit_code = 7


class RequestError(LexisegError):
    """A server refuses a request, or its answer cannot be used."""

    exit_code = 8

    def __init__(
        self, message: str, *, code: str = UNCODED, status: int = 400, retry_after: int | None = None
    ) -> None:
        """Make the error.

        Args:
            message: The full message.
            code: The stable code of the place that raises it.
            status: HTTP status of the refusal.
            retry_after: Seconds after which the request may be sent again; None where that does not help.
        """
        super().__init__(message, code=code)
        self.status, self.retry_after = status, retry_after


class PartialFailureError(LexisegError):
    """A batch was finished, but some of its items failed; each failure was reported on its own."""

    exit_code = 1
