"""Command lines of Lexiseg, parsed without running them."""

from __future__ import annotations

import shlex
from functools import cache
from typing import Any

import typer

from lexiseg.cli.app import app


@cache
def whole_command() -> Any:
    """Return the command of the whole command line; it takes long to build."""
    return typer.main.get_command(app)


def command_of(words: list[str]) -> tuple[Any, Any, list[str]]:
    """Return the command that a line names, its context, and what follows the command's name."""
    command = whole_command()
    context = command.context_class(command, info_name="lexiseg")
    while hasattr(command, "commands"):
        assert words, "no command is named"
        assert words[0] in command.commands, f"no command '{words[0]}', only {list(command.commands)}"
        command = command.commands[words[0]]
        context = command.context_class(command, info_name=words[0], parent=context)
        words = words[1:]
    return command, context, words


def parse_command_line(line: str, place: str) -> None:
    """Parse a command line; nothing is run, and no path has to exist.

    Args:
        line: It starts with "lexiseg".
        place: Where it stands, for messages.
    """
    command, context, rest = command_of(shlex.split(line)[1:])
    if rest in (["--help"], ["-h"]):
        return
    # Refuses unknown options and options without their value.
    values, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, f"{place}: nobody takes {left}"
    for parameter in command.get_params(context):
        # Refuses what is missing, and values that an option does not take.
        parameter.process_value(context, values.get(parameter.name))


def command_words() -> list[tuple[str, ...]]:
    """Return the words of every command, such as ("data", "check")."""

    def below(command: Any, words: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not hasattr(command, "commands"):
            return [words]
        return [found for name, inner in command.commands.items() for found in below(inner, (*words, name))]

    return below(whole_command(), ())
