"""How far a training is, and the learning rate that follows from it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

WARMUP_STEPS = 100


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

    @property
    def elapsed(self) -> float:
        """Seconds spent in training and validation, resumed time included."""
        return self.elapsed_before + time.monotonic() - self._started

    @property
    def share(self) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.total_steps is not None:
            return min(1.0, self.step / self.total_steps)
        assert self.max_minutes is not None
        return min(1.0, self.elapsed / (60 * self.max_minutes))

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


def cosine(progress: Progress) -> float:
    """Return the learning rate as a share of its peak: linear warm-up, then half a cosine down to 1 %."""
    warmup = min(1.0, (progress.step + 1) / WARMUP_STEPS)
    return warmup * (0.01 + 0.99 * half_cosine(progress.share))


def half_cosine(share: float) -> float:
    """Return the published schedule of CoTexNet as a share of the peak: half a cosine from 1 down to 0.

    Args:
        share: Share of the training that is done, 0 to 1.
    """
    return 0.5 * (1 + math.cos(math.pi * share))


def warm_restarts(
    step: int, steps_per_epoch: int, *, peak: float, restart_epochs: int = 10, floor: float = 1e-4
) -> float:
    """Return the published schedule of STPNet: cosine warm restarts (T_0 = 10 epochs, eta_min 1e-4).

    Args:
        step: Steps done.
        steps_per_epoch: Steps per pass over the data.
        peak: Peak learning rate.
        restart_epochs: Epochs between restarts.
        floor: Lowest learning rate.
    """
    position = (step // steps_per_epoch) % restart_epochs / restart_epochs
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * position))
