"""Messages of commands, and the consoles that print them; all follow --quiet and --json."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

from lexiseg.cli.terminal.output_mode import WarningsConsole, output_mode
from lexiseg.console import PrintableConsole


def progress_console() -> Console:
    """Return the console of a long command: with --quiet for warnings only, with --json on standard error.

    It wraps lines on a terminal only: in a log, each message is one line.
    """
    mode = output_mode()
    stderr = mode.json or mode.quiet
    stream = sys.stderr if stderr else sys.stdout
    console = WarningsConsole if mode.quiet else PrintableConsole
    return console(stderr=stderr, soft_wrap=not stream.isatty())


def warn(message: str) -> None:
    """Print one message on stderr, as it is, in yellow."""
    errors = PrintableConsole(stderr=True, soft_wrap=True, highlight=False)
    errors.print(message, style="yellow")


def message_console(**options: Any) -> PrintableConsole:
    """Return a console for messages: silent with --quiet, on standard error with --json.

    Args:
        **options: Of the console.
    """
    mode = output_mode()
    return PrintableConsole(stderr=mode.json, quiet=mode.quiet, **options)


def result_console(**options: Any) -> PrintableConsole:
    """Return a console for tables of results: silent with --quiet, and with --json, which prints the result.

    Args:
        **options: Of the console.
    """
    mode = output_mode()
    return PrintableConsole(quiet=mode.quiet or mode.json, **options)


def say(message: str) -> None:
    """Print one message, as it is: not with --quiet, and on standard error with --json."""
    message_console(soft_wrap=True, highlight=False).print(message)
