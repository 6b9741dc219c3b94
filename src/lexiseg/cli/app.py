"""The command `lexiseg`, its error messages and its exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from lexiseg._version import __version__
from lexiseg.cli import convert_commands, data_commands
from lexiseg.cli.audit_command import audit
from lexiseg.cli.calibrate_command import calibrate
from lexiseg.cli.compare_command import compare
from lexiseg.cli.demo_command import demo
from lexiseg.cli.evaluate_command import evaluate
from lexiseg.cli.export_command import export
from lexiseg.cli.option_errors import option_error
from lexiseg.cli.output_streams import outlive_readers
from lexiseg.cli.predict_command import predict
from lexiseg.cli.train_command import train
from lexiseg.errors import DiskError, LexisegError
from lexiseg.extras import missing_package
from lexiseg.files import disk_error

INTERRUPTED = 130
#: Exit code of a command that was stopped with SIGTERM.
TERMINATED = 143

_HELP = """Medical image segmentation taught with words, used without them.

Train on images, masks and, if you have them, report sentences. Prediction needs only an image. It returns a \
mask, the words the model retrieved, any disagreement between mask and words, and a flag on images that a \
person should check.

Research software, not a medical device: not for clinical use.
"""

_EPILOG = (
    "Exit codes: 0 done, 1 finished with failures or findings, 2 wrong usage, 3 data, 4 run folder, "
    "5 weights, 6 disk, 130 interrupted, 143 terminated."
)


class _InterruptError(Exception):
    """An interrupt (Ctrl-C) with advice on what to do next; typer itself would print nothing."""


class _Commands(TyperGroup):
    """The commands; "~" in front of a path means the home folder, and an interrupt keeps its message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line. Shells do not expand "~" in quotes or after "=", as in `--out=~/results`."""
        return super().parse_args(ctx, [_with_home(argument) for argument in args])

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _InterruptError(str(interrupt)) from interrupt


app = typer.Typer(
    cls=_Commands,
    name="lexiseg",
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("compare")(compare)
app.command("audit")(audit)
app.command("calibrate")(calibrate)
app.command("predict")(predict)
app.command("export")(export)
app.add_typer(data_commands.app, name="data")
app.add_typer(convert_commands.app, name="convert")
app.command("demo")(demo)


def _with_home(argument: str) -> str:
    """Return an argument with "~" in front of its path replaced by the home folder."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + (os.path.expanduser(value) if value.startswith("~") else value)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lexiseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Read the options that are given before a command."""


def main() -> NoReturn:
    """Run the command line and exit: errors become one message and an exit code, never a traceback."""
    outlive_readers()
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

    def fail(error: LexisegError) -> NoReturn:
        errors.print(f"Error: {error} [{error.code}]", style="red")
        sys.exit(error.exit_code)

    stopped: list[int] = []
    try:
        with _terminated_like_interrupted(stopped):
            code = app(standalone_mode=False) or 0
            if sys.stdout is not None:  # as where it was closed at the start
                sys.stdout.flush()
        sys.exit(code)
    except LexisegError as error:
        fail(error)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        fail(missing)
    except (_InterruptError, KeyboardInterrupt) as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not break what is being closed
        errors.print(f"Interrupted. {interrupt}".strip(), style="red")
        sys.exit(TERMINATED if stopped else INTERRUPTED)
    except OSError as error:
        where = error.filename or "the output"
        known = disk_error(Path(where), error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            known = DiskError(
                f"No space left on the disk ({where}). Free some space and run the command again.",
                code="LEX-DISK-007",
            )
        if not isinstance(known, LexisegError):
            raise
        fail(known)
    except Exception as error:
        refused = option_error(error)
        if refused is not None:
            fail(refused)
        # The help of a command without arguments shows itself; anything else is a defect and keeps its
        # traceback.
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if show is None or code is None:
            raise
        show()
        sys.exit(code)


@contextmanager
def _terminated_like_interrupted(stopped: list[int]) -> Iterator[None]:
    """Close everything at SIGTERM as at Ctrl-C, and note the signal."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break what is being closed
        stopped.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if not stopped:
            signal.signal(signal.SIGTERM, before)
