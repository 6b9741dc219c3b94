"""The commands and groups as typer shows and reads them: flags show no type, and no value is empty."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from lexiseg.cli.options.empty_values import refuse_empty_values


class CommandWithFlags(TyperCommand):
    """A command whose help shows flags without a type, and that refuses empty values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises:
            UsageError: A value is empty.
        """
        refuse_empty_values(ctx.command_path, args, self.get_params(ctx))
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # For an option without its values, the parser states no command, whose help the message names.
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

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
