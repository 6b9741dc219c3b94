"""How far a training is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lexiseg.training.distributed.ranks import Ranks


@dataclass
class Progress:
    """How far a training is, in steps or in minutes; its state is part of every checkpoint.

    Attributes:
        total_steps: Length in steps; None if minutes set the length.
        max_minutes: Length in minutes of wall-clock time, resumed time included; None if steps set it.
        step: Steps done.
        elapsed_before: Seconds spent before the last resume.
    """

    total_steps: int | None
    max_minutes: float | None
    step: int = 0
    elapsed_before: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _agreed: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds spent in training and validation, resumed time included."""
        if self._agreed is not None:
            return self._agreed
        return self.elapsed_before + time.monotonic() - self._started

    @property
    def share(self) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.total_steps is not None:
            return min(1.0, self.step / self.total_steps)
        assert self.max_minutes is not None
        return min(1.0, self.elapsed / (60 * self.max_minutes))

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left at the speed so far; None before the first step."""
        share = self.share
        return None if self.step == 0 or share == 0 else self.elapsed * (1 - share) / share

    def agree(self, ranks: Ranks) -> None:
        """Take the time of the first process, so that all take the same decisions; with several only."""
        if ranks.several:
            self._agreed = None
            self._agreed = float(ranks.agree(self.elapsed))

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def state(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        return {"step": self.step, "elapsed": self.elapsed}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from `state`."""
        self.step = int(state["step"])
        self.elapsed_before = float(state["elapsed"])
        self.start()
