"""The command `lexiseg`, its error messages and its exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from lexiseg._version import __version__
from lexiseg.cli.commands import convert, share, token
from lexiseg.cli.commands.audit import audit
from lexiseg.cli.commands.calibrate import calibrate
from lexiseg.cli.commands.compare import compare
from lexiseg.cli.commands.data import group as data
from lexiseg.cli.commands.demo import demo
from lexiseg.cli.commands.doctor import doctor
from lexiseg.cli.commands.evaluate import evaluate
from lexiseg.cli.commands.export import export
from lexiseg.cli.commands.join import join
from lexiseg.cli.commands.predict.command import predict
from lexiseg.cli.commands.refine import refine
from lexiseg.cli.commands.serve.command import serve
from lexiseg.cli.commands.train import train
from lexiseg.cli.commands.watch import watch
from lexiseg.cli.options.examples import examples_text
from lexiseg.cli.options.flag_help import GroupWithFlags
from lexiseg.cli.options.option_errors import option_error
from lexiseg.cli.options.registration import register
from lexiseg.cli.terminal.failures import failure_of_the_machine, hide_thread_failures
from lexiseg.cli.terminal.output_mode import set_output_mode, show_error_as_json
from lexiseg.cli.terminal.output_streams import ignore_closed_pipes
from lexiseg.cli.terminal.signals import INTERRUPTED, SignalHandlers
from lexiseg.console import PrintableConsole
from lexiseg.errors import LexisegError
from lexiseg.extras import missing_package

_HELP = """Medical image segmentation taught with words, used without them.

Train on images, masks and, if you have them, report sentences. Prediction needs only an image. It returns a \
mask, the words the model retrieved, any disagreement between mask and words, and a flag on images that a \
person should check.

Research software, not a medical device: not for clinical use.
"""

EXIT_CODES = (
    "Exit codes: 0 done, 1 finished with failures or findings, 2 wrong usage, 3 data, 4 run folder, "
    "5 weights, 6 disk, 7 memory, 8 server, 130 interrupted, 143 terminated."
)


class _InterruptError(Exception):
    """An interrupt (Ctrl-C) with advice on what to do next; typer itself would print nothing."""


class _Commands(GroupWithFlags):
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
    epilog=f"{examples_text('')}\n\n{EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
register(app, "train", train)
register(app, "evaluate", evaluate)
register(app, "compare", compare)
register(app, "audit", audit)
register(app, "calibrate", calibrate)
register(app, "predict", predict)
register(app, "join", join)
register(app, "refine", refine)
register(app, "export", export)
register(app, "watch", watch)
register(app, "pack", share.pack)
register(app, "unpack", share.unpack)
register(app, "push", share.push)
register(app, "pull", share.pull)
register(app, "serve", serve)
app.add_typer(token.app, name="token")
app.add_typer(data.app, name="data")
app.add_typer(convert.app, name="convert")
register(app, "demo", demo)
register(app, "doctor", doctor)


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


def run(handlers: SignalHandlers) -> int:
    """Run the command line and return its exit code: errors become one message, never a traceback.

    Args:
        handlers: The handlers of signals, installed.
    """
    ignore_closed_pipes()
    hide_thread_failures()
    # For errors of the command line itself, which come before its options are read.
    set_output_mode(quiet=False, json="--json" in sys.argv)

    def fail(error: LexisegError) -> int:
        show_error_as_json(error)
        _print_error(f"Error: {error} [{error.code}]")
        return error.exit_code

    try:
        returned = int(app(standalone_mode=False) or 0)
        if handlers.interrupted and returned == INTERRUPTED:
            # Before and after the command itself, typer turns an interrupt into this number.
            raise KeyboardInterrupt
        if sys.stdout is not None:  # as where it was closed at the start
            sys.stdout.flush()
        return returned
    except LexisegError as error:
        return fail(error)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        return fail(missing)
    except (_InterruptError, KeyboardInterrupt, typer.Abort) as interrupt:
        _print_error(f"Interrupted. {interrupt}".strip())
        return handlers.exit_code
    except Exception as error:
        known = failure_of_the_machine(error) or option_error(error)
        if known is not None:
            return fail(known)
        # The help of a command without arguments shows itself; anything else is a defect and keeps its
        # traceback.
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if handlers.interrupted and show is None:
            _print_error("Interrupted.")
            return handlers.exit_code
        if show is None or code is None:
            raise
        show()
        return int(code)


def _print_error(message: str) -> None:
    """Print one message on the standard error stream, in red on a terminal."""
    try:
        errors = PrintableConsole(stderr=True, soft_wrap=True, highlight=False, markup=False)
        errors.print(message, style="red")
    except (MemoryError, OSError, ImportError):
        # Where memory or file handles are used up, this much is still possible.
        os.write(2, f"{message}\n".encode(errors="replace"))
