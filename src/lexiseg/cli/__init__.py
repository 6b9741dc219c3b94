"""The command line: one command, one call of the public API."""

from lexiseg.cli.app import app, main

__all__ = ["app", "main"]
