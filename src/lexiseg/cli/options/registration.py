"""Registration of commands: each gets the options of its output, and the examples of its help."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer

from lexiseg.cli.options.examples import examples_text
from lexiseg.cli.options.flag_help import CommandWithFlags
from lexiseg.cli.terminal.output_mode import set_output_mode

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as JSON on standard output, and everything else on standard error."
    ),
]

#: The options that every command has, with their names as parameters.
OUTPUT_OPTIONS: dict[str, Any] = {"quiet": Quiet, "as_json": AsJson}


def register(app: typer.Typer, words: str, command: Callable[..., None]) -> None:
    """Add a command to the command line.

    Args:
        app: The group that it belongs to.
        words: The words that call it, such as "data check"; `examples` holds its examples.
        command: The function; its parameters are the arguments and options.
    """
    name = words.rpartition(" ")[2]
    app.command(name, cls=CommandWithFlags, epilog=examples_text(words))(_with_output_options(command))


def _with_output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the options `OUTPUT_OPTIONS`; they set how it speaks before it runs."""

    @functools.wraps(command)
    def speaking(*, quiet: bool = False, as_json: bool = False, **arguments: Any) -> None:
        set_output_mode(quiet=quiet, json=as_json)
        command(**arguments)

    # typer reads the parameters from the signature. Names in annotations are those of the command's module.
    hints = typing.get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    own = [each.replace(annotation=hints[each.name]) for each in signature.parameters.values()]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in OUTPUT_OPTIONS.items()
    ]
    speaking.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    speaking.__annotations__ = hints | OUTPUT_OPTIONS
    return speaking
