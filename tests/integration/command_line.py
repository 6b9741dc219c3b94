"""The command line in a process of its own, and what commands do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 300


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Everything on stderr on one line, without the frames that usage errors are drawn in."""
        plain = "".join(" " if character in "\n│╭╮╰╯─" else character for character in self.stderr)
        return " ".join(plain.split())

    def refuses(self, code: int, *parts: str) -> None:
        """Check an error: its exit code, one message without traceback, and what the message says."""
        assert self.code == code, f"exit code {self.code}, expected {code}:\n{self.stderr}"
        assert "Traceback" not in self.stderr
        assert self.stderr.startswith(("Error: ", "Usage: ")), self.stderr
        assert self.stderr.count("Error: ") <= 1
        for part in parts:
            assert part in self.message, f"{part!r} not in: {self.message}"


Command = Callable[..., Outcome]


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    run: Path
    outcome: Outcome


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a command: one thread, so that sums always have the same order."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONFAULTHANDLER": "1",
        **changes,
    }


def start(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, which listens to Ctrl-C even if the tests do not."""
    return subprocess.Popen(
        [sys.executable, "-m", "lexiseg", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
        # Under nohup, or in the background of a script, SIGINT is ignored, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return shown(Outcome(process.returncode, out, err))


def shell(*arguments: object, **changes: str) -> Outcome:
    """Run the command line in a process of its own."""
    return finish(start(*arguments, **changes))


def shown(outcome: Outcome) -> Outcome:
    # pytest shows this where a test fails, and for all tests with -rP.
    print(f"exit code {outcome.code}\n{outcome.stdout}{outcome.stderr}")
    return outcome
