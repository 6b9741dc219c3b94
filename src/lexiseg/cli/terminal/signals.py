"""Signals: Ctrl-C and SIGTERM end a command in order, and nothing that comes meanwhile breaks that."""

from __future__ import annotations

import signal
import time
from types import FrameType

#: Exit codes as shells give them: 128 and the number of the signal.
INTERRUPTED, TERMINATED = 130, 143

# A second signal within this time is the same wish again; files are being closed by then.
_CLOSING_S = 2.0


class SignalHandlers:
    """Turns the first Ctrl-C or SIGTERM into a `KeyboardInterrupt`, so that both end a command the same way.

    Attributes:
        exit_code: What the process returns after the interrupt.
        interrupted: Whether a signal came. A compiled library replaces a `KeyboardInterrupt` in a function
            which it calls by an error of its own: an unknown error after a signal is the signal.
    """

    def __init__(self) -> None:
        self.exit_code = INTERRUPTED
        self.interrupted = False
        self._last = float("-inf")

    def install(self) -> None:
        """Handle both signals from now on; a signal that is ignored stays ignored, as under nohup."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def ignore(self) -> None:
        """Ignore both signals: the command is done, and the process ends at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < _CLOSING_S:
            return
        self._last = now
        self.exit_code = 128 + number
        self.interrupted = True
        raise KeyboardInterrupt
