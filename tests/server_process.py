"""A server in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from command_line import environment

#: The command line in a process that finds no torch.
_WITHOUT_TORCH = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *place: None if name.split(".")[0] == "torch" else find(name, *place)
from lexiseg.cli import main
main()
"""
_SECONDS = 120


@dataclass(frozen=True)
class ServerProcess:
    """A server that runs.

    Attributes:
        address: Its address.
        process: Its process.
        log: The file of its log.
    """

    address: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


@contextmanager
def served(*arguments: object, **variables: str) -> Iterator[ServerProcess]:
    """Run `lexiseg serve` with arguments on a free port of this machine."""
    words = ["serve", *map(str, arguments), "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            open(log, "w") as errors,
            subprocess.Popen(
                [sys.executable, "-c", _WITHOUT_TORCH, *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(**variables),
            ) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.search(r"at (https?://\S+) \(Ctrl-C", line)
                assert found, f"{line}\n{log.read_text()}"
                yield ServerProcess(found[1], process, log)
            finally:
                if process.poll() is None:
                    process.kill()
