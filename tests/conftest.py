"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no bug.
hypothesis.settings.register_profile("lexiseg", deadline=None)
hypothesis.settings.load_profile("lexiseg")

_REPOSITORY = Path(__file__).resolve().parent.parent


#: Why tests skip for users.
_NO_SHARED = "needs the developers' shared folder"


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Give Ctrl-C back to the tests after a command that ran in their process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def output_mode() -> None:
    """Let each test speak as usual, whatever --quiet or --json a command of the test before it had."""
    module = sys.modules.get("lexiseg.cli.terminal.output_mode")
    if module is not None:
        module.set_output_mode(quiet=False, json=False)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with parity fixtures and real data, which users do not have; without it, tests skip.

    With LEXISEG_REQUIRE_SHARED set, they fail.
    """
    folder = Path(os.environ.get("LEXISEG_SHARED", _REPOSITORY.parent / "shared"))
    if not (folder / "reference").is_dir():
        message = f"{_NO_SHARED}, not found at {folder} (set LEXISEG_SHARED)"
        if os.environ.get("LEXISEG_REQUIRE_SHARED"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests skipped because the shared folder is missing."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple) and _NO_SHARED in report.longrepr[2]
    ]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped: {_NO_SHARED}.")
