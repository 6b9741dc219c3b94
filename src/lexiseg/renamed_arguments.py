"""Arguments of public functions that had another name in version 0.1.0: the earlier name still works."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def renamed(**names: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Let a function also take arguments by their earlier names, with a warning that states the new one.

    Args:
        **names: The name of each argument, by its earlier name.

    Returns:
        The decorator. The signature of the function, and so type checkers, know the new names only.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def call(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
            for earlier, name in names.items():
                if earlier not in keywords:
                    continue
                if name in keywords:
                    raise TypeError(
                        f"{function.__name__}() got '{name}' and its earlier name '{earlier}'; use '{name}'."
                    )
                warnings.warn(
                    f"{function.__name__}(): the argument '{earlier}' is now called '{name}'.",
                    DeprecationWarning,
                    stacklevel=2,
                )
                keywords[name] = keywords.pop(earlier)
            return function(*arguments, **keywords)

        return call

    return decorate
