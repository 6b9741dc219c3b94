"""Values of the command line that are empty, as where a variable of the shell is not set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lexiseg.errors import UsageError


def refuse_empty_values(command: str, arguments: Sequence[str], parameters: Iterable[Any]) -> None:
    """Refuse an empty value of any argument or option.

    An empty path would be the current folder, and no other value may be empty either. A path cannot be
    checked after it is read: `Path("")` is equal to `Path(".")`.

    Args:
        command: The command, such as "lexiseg predict".
        arguments: What follows it on the command line.
        parameters: Its parameters, as typer has them.

    Raises:
        UsageError: A value is empty.
    """
    with_value = {
        name
        for parameter in parameters
        if parameter.param_type_name == "option" and not parameter.is_flag
        for name in parameter.opts
    }
    for position, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if argument == "":
            before = arguments[position - 1] if position else ""
            name = f"of {before}" if before in with_value else f"at position {position + 1} after `{command}`"
        elif equals and not value and option in with_value:
            name = f"of {option}"
        else:
            continue
        raise UsageError(
            f"The value {name} is empty; a variable of the shell that is not set is empty too. Give a value; "
            "a full stop (.) is the current folder.",
            code="LEX-USE-1842",
        )
