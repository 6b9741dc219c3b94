"""Errors of the command line itself: options and arguments that are missing, unknown or not possible."""

from __future__ import annotations

from lexiseg.errors import UsageError

# How pydantic begins a message, which typer passes on.
_PREFIX = "Value error, "


def option_error(error: Exception) -> UsageError | None:
    """Return the error for a command line that cannot be read.

    Args:
        error: What typer raised. Its classes depend on its version, so they are known by what they have.

    Returns:
        The error; None if it is no error of options, or if it is the help of a command without arguments.
    """
    context, message = getattr(error, "ctx", None), getattr(error, "format_message", None)
    if message is None or getattr(error, "exit_code", None) != UsageError.exit_code:
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    text = str(message()).replace(_PREFIX, "").strip().rstrip(".")
    command = getattr(context, "command_path", "lexiseg")
    return UsageError(f"{text}. `{command} --help` lists all options.", code="LEX-USE-744")
