"""The help of flags: an option that takes no value shows no type of a value."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class CommandWithFlags(TyperCommand):
    """A command whose help shows flags without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the command, as typer does."""
        return _without_types(super().get_params(ctx))


class GroupWithFlags(TyperGroup):
    """A group of commands whose help shows flags without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the group, as typer does."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: list[Any]) -> list[Any]:
    """Return parameters after flags have lost their type, which typer shows as "<bool>".

    A reader takes this for a value to give, as in `--overlays true`, which would be the name of an image.
    """
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters
