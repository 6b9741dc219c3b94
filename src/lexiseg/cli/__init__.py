"""The command line: one command, one call of the public API.

`app` puts the commands together and ends with their exit codes. `commands` holds them, each under its name;
`options` is what they share of the command line, and `terminal` how they speak and end.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from lexiseg.cli.terminal.signals import SignalHandlers
from lexiseg.errors import LexisegError


def main() -> NoReturn:
    """Run the command line and exit; see `lexiseg.cli.app.run`."""
    handlers = SignalHandlers()
    try:
        handlers.install()
        code = _exit_code(handlers)
        handlers.ignore()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        code = handlers.exit_code
    handlers.ignore()
    sys.exit(code)


def _exit_code(handlers: SignalHandlers) -> int:
    """Run the command line and return its exit code."""
    try:
        # Imported here, as it takes seconds in which a signal may come, and as the help lists systems of
        # other packages, of which one may be broken.
        from lexiseg.cli.app import run

        return run(handlers)
    except LexisegError as error:
        print(f"Error: {error} [{error.code}]", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if not handlers.interrupted:
            raise
        raise KeyboardInterrupt from error
