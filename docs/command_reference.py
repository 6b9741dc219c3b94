"""The command line as Markdown, made from the declarations of `--help`; `make_tables.py` uses it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import typer
from typer.models import OptionInfo

from lexiseg.cli.app import EXIT_CODES, app
from lexiseg.cli.options.examples import EXAMPLES
from lexiseg.cli.options.registration import OUTPUT_OPTIONS

_KINDS = {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}
_DEFAULT_IN_HELP = r" \[default: "
_BAR = r"\|"


def command_line() -> str:
    """Return a section for every command: purpose, usage, arguments and options."""
    parts = [command(words, does) for words, does in commands(app, ("lexiseg",))]
    return "\n".join([common_options(), *parts, f"{EXIT_CODES}\n"])


def common_options() -> str:
    """Return the section of the options that every command has."""
    rows = []
    for option in OUTPUT_OPTIONS.values():
        kind, declared = typing.get_args(option)
        rows.append(
            f"| `{spelled(declared)} {values(kind, declared.metavar)}".strip() + f"` | {declared.help} |"
        )
    rows.append("| `--help, -h` | Show the help of the command and exit. |")
    head = ["| option | meaning |", "| --- | --- |"]
    return "\n".join(["## Options of every command", "", *head, *rows, ""])


def spelled(declared: OptionInfo, name: str = "") -> str:
    """Return the names of an option: the long one first, then a short one."""
    # In an annotation, typer stores the first name of an option as its default.
    given = [str(part) for part in (declared.default, *(declared.param_decls or ()))]
    long = next((part for part in given if part.startswith("--")), f"--{name.replace('_', '-')}")
    return ", ".join([long, *(part for part in given if re.fullmatch("-[a-z]", part))])


def commands(
    group: typer.Typer, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Callable[..., None]]]:
    """Yield each command's words and the function behind it."""
    for registered in group.registered_commands:
        assert registered.name is not None
        assert registered.callback is not None
        yield (*words, registered.name), registered.callback
    for inner in group.registered_groups:
        assert inner.name is not None
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, (*words, inner.name))


def command(words: tuple[str, ...], does: Callable[..., None]) -> str:
    """Return the section of one command."""
    hints = typing.get_type_hints(does, include_extras=True)
    usage, rows = list(words), []
    for name, parameter in inspect.signature(does).parameters.items():
        if name in OUTPUT_OPTIONS or hints[name] is typer.Context:
            continue
        kind, declared = typing.get_args(hints[name])
        required = parameter.default is inspect.Parameter.empty
        text, _, default = (declared.help or "").partition(_DEFAULT_IN_HELP)
        default = default.removesuffix("]")
        if isinstance(declared, OptionInfo):
            shown = f"{spelled(declared, name)} {values(kind, declared.metavar)}".strip()
            if required:
                usage.append(shown.replace(", -o", ""))
        else:
            shown = declared.metavar or name.upper()
            if typing.get_origin(kind) is list:
                shown = f"{shown.removesuffix('...')}..."
            usage.append(shown if required else f"[{shown}]")
        if not default and not required:
            default = default_value(parameter.default)
        cells = f"`{shown}`", "required" if required else default, text
        rows.append(f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |")
    head = ["| argument or option | default | meaning |", "| --- | --- | --- |"]
    about = inspect.getdoc(does) or ""
    title = " ".join(words)
    examples = EXAMPLES[" ".join(words[1:])]
    return "\n".join(
        [
            *(f"## {title}", "", about, "", "```text", f"{' '.join(usage)} [OPTIONS]", "```", ""),
            *(*head, *rows, "", "Examples:", "", "```text", *examples, "```", ""),
        ]
    )


def values(kind: Any, metavar: str | None) -> str:
    """Return the kind of value of an option, as shown in its usage; empty for a switch."""
    if metavar is not None:
        return metavar
    inner = [part for part in typing.get_args(kind) if part is not NoneType]
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return " ".join(values(part, None) for part in inner)
    if inner:  # optional, or a list: the option is repeated
        return values(inner[0], None)
    if kind is bool:
        return ""
    return _KINDS[kind]


def default_value(default: object) -> str:
    """Return the default of the declaration, for options whose help text states none."""
    match default:
        case None | False:
            return ""
        case list():
            return ", ".join(default_value(part) for part in default)
        case _:
            return f"`{default}`"
