"""Options that a command line gives more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any


def repeated_option_warnings(occurrences: Sequence[Any]) -> list[str]:
    """Return a warning for each option that takes one value and is given more than once.

    The last value is used, as in other command lines, so that an alias of the shell can be overridden.

    Args:
        occurrences: The parameters in the order in which the command line gives them, as typer's parser
            returns them; a parameter that is given twice is there twice.
    """
    counts = Counter(
        parameter.opts[0]
        for parameter in occurrences
        if parameter.param_type_name == "option" and not parameter.multiple and _has_value(parameter)
    )
    return [
        f"{name} is given {count} times. The last value is used; the others have no effect."
        for name, count in counts.items()
        if count > 1
    ]


def _has_value(option: Any) -> bool:
    """Return whether two occurrences of an option can differ."""
    return not option.is_flag or bool(option.secondary_opts)
