"""The commands and groups as typer shows and reads them: help of flags, and checks of what is given."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from lexiseg.cli.options.empty_values import refuse_empty_values
from lexiseg.cli.options.repeated_options import repeated_option_warnings
from lexiseg.cli.terminal.messages import warn


class CommandWithFlags(TyperCommand):
    """A command whose help shows flags without a type, and that checks what it is given.

    It refuses empty values, and warns of options that are given more than once.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises:
            UsageError: A value is empty.
        """
        refuse_empty_values(ctx.command_path, args, self.get_params(ctx))
        given = list(args)  # typer's parser empties the list that it reads
        try:
            rest = super().parse_args(ctx, args)
        except Exception as error:
            # For an option without its values, the parser states no command, whose help the message names.
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise
        if not ctx.resilient_parsing:  # the shell completes the line: nothing may be printed
            for warning in repeated_option_warnings(self.make_parser(ctx).parse_args(args=given)[2]):
                warn(warning)
        return rest

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
