"""Commands in processes of their own: forked from a warm server, or started cold."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.faults.fork_server import Order

_ROOT = Path(__file__).resolve().parents[2]
#: A command of this size that is not done by then hangs.
HANGS_AFTER_S = 300.0


@dataclass(frozen=True)
class Ended:
    """What a command did.

    Attributes:
        code: Exit code; negative: the signal that ended it. None: it hung and was ended.
        stdout: What it said; empty for a pipe whose reader has gone.
        stderr: What it said on standard error.
        seconds: How long it ran.
    """

    code: int | None
    stdout: str
    stderr: str
    seconds: float


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment of a command: one thread, so that sums always have the same order."""
    paths = [str(_ROOT), str(_ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    changed: Mapping[str, str | None] = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NO_PROXY": "127.0.0.1",
        **changes,
    }
    merged = {**os.environ, **changed}
    return {name: value for name, value in merged.items() if value is not None}


class ForkServer:
    """The warm server; a context that ends it."""

    def __enter__(self) -> ForkServer:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # a line that waits in a buffer is one that `select` does not see
            cwd=_ROOT,
            env=environment(),
        )
        assert self._line(HANGS_AFTER_S) == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.communicate()

    def start(self, order: Order) -> Running:
        """Start a command."""
        assert self._server.stdin is not None
        self._server.stdin.write(order.line().encode() + b"\n")
        self._server.stdin.flush()
        line = self._line(HANGS_AFTER_S)
        assert line is not None
        return Running(self, order, int(line))

    def _line(self, seconds: float) -> str | None:
        """Return the next line of the server; None after some time without one."""
        assert self._server.stdout is not None
        if not select.select([self._server.stdout], [], [], seconds)[0]:
            return None
        return self._server.stdout.readline().decode().strip()


class Running:
    """A command that runs."""

    def __init__(self, server: ForkServer, order: Order, pid: int) -> None:
        self._server, self._order, self.pid = server, order, pid
        self._begun = time.monotonic()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command and to its workers, as a terminal does."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # it has ended, or has no group yet
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def has_ended(self, within: float) -> bool:
        """Wait for some seconds; return whether it has ended by then."""
        stdout = self._server._server.stdout
        return bool(select.select([stdout], [], [], within)[0])

    def wait(self) -> Ended:
        """Wait for the end; a command that hangs is killed."""
        line = self._server._line(HANGS_AFTER_S)
        seconds = time.monotonic() - self._begun
        if line is None:
            self.signal(signal.SIGKILL)
            self._server._line(HANGS_AFTER_S)
        said = "" if self._order.stdout is None else _read(self._order.stdout)
        return Ended(None if line is None else int(line), said, _read(self._order.stderr), seconds)


def _read(file: str) -> str:
    return Path(file).read_text("utf-8", errors="replace")


def run_cold(order: Order, **changes: str | None) -> Ended:
    """Run a command in a process that imports everything itself, in another environment."""
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.fork_server", "--once", *order.arguments],
            cwd=order.folder,
            env=environment(**changes),
            capture_output=True,
            timeout=HANGS_AFTER_S,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "", HANGS_AFTER_S)
    text = [stream.decode("utf-8", errors="replace") for stream in (done.stdout, done.stderr)]
    return Ended(done.returncode, *text, time.monotonic() - begun)
