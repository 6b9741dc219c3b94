"""How the running command speaks: all messages, warnings only (--quiet), or its result as JSON (--json).

With --json, standard output holds exactly one JSON value: the result, or the error that ended the command.
Everything else is on standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer
from pydantic_core import to_jsonable_python

from lexiseg.console import PrintableConsole
from lexiseg.errors import LexisegError
from lexiseg.printable import printable_json

#: Colours of messages that --quiet does not hide.
_WARNING_COLOURS = frozenset({"red", "yellow"})


@dataclass
class OutputMode:
    """How the running command speaks.

    Attributes:
        quiet: Whether only warnings and errors are printed.
        json: Whether the result is printed as JSON on standard output, and all messages on standard error.
        answered: Whether standard output holds a JSON value already.
    """

    quiet: bool = False
    json: bool = False
    answered: bool = False


# One command runs per process; tests run several, one after the other.
_mode = OutputMode()


def set_output_mode(*, quiet: bool, json: bool) -> None:
    """Start a command that speaks in this way."""
    _mode.quiet, _mode.json, _mode.answered = quiet, json, False


def output_mode() -> OutputMode:
    """Return how the running command speaks."""
    return _mode


def show_result(result: object) -> None:
    """Print the result of the command as JSON on standard output, if --json asks for it.

    A command shows its result before it raises a `PartialFailureError`.

    Args:
        result: A record, or a mapping or sequence of records, paths, texts and numbers.
    """
    if _mode.json:
        _answer(result)


def show_error_as_json(error: LexisegError) -> None:
    """Print the error that ended the command as JSON, if --json asks for it and no result was printed."""
    if _mode.json and not _mode.answered:
        _answer({"error": {"code": error.code, "message": str(error), "exit_code": error.exit_code}})


def _answer(value: object) -> None:
    _mode.answered = True
    typer.echo(printable_json(to_jsonable_python(value), indent=2))


class WarningsConsole(PrintableConsole):
    """A console that prints warnings only: messages in red or yellow. `--quiet` uses it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a message if its style has the colour of a warning."""
        if _WARNING_COLOURS.intersection(str(options.get("style") or "").split()):
            super().print(*objects, **options)

    def rule(self, *titles: Any, **options: Any) -> None:
        """Print no heading."""
