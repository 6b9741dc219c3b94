"""The command line: one command, one call of the public API."""

from __future__ import annotations

import sys
from typing import NoReturn

from lexiseg.errors import LexisegError


def main() -> NoReturn:
    """Run the command line and exit; see `lexiseg.cli.app.main`."""
    try:
        # Imported here, as the help lists systems of other packages, and one may be broken.
        from lexiseg.cli.app import main as run
    except LexisegError as error:
        print(f"Error: {error} [{error.code}]", file=sys.stderr)
        sys.exit(error.exit_code)
    run()
