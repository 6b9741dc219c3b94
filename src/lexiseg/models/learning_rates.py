"""Learning rates over a training."""

from __future__ import annotations

import math

WARMUP_STEPS = 100

# Of the cosine with warm restarts: epochs between restarts, and the lowest rate.
_RESTART_EPOCHS = 10
_RESTART_FLOOR = 1e-4


def warmup_cosine(step: int, share: float) -> float:
    """Return the learning rate as a share of its peak: linear warm-up, then half a cosine down to 1 %.

    Args:
        step: Steps done.
        share: Share of the training that is done, 0 to 1.
    """
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * (0.01 + 0.99 * half_cosine(share))


def half_cosine(share: float) -> float:
    """Return the learning rate as a share of its peak: half a cosine from 1 down to 0.

    Args:
        share: Share of the training that is done, 0 to 1.
    """
    return 0.5 * (1 + math.cos(math.pi * share))


def warm_restarts(step: int, steps_per_epoch: int, *, peak: float) -> float:
    """Return the learning rate of a cosine with warm restarts (Loshchilov and Hutter, 2017).

    Args:
        step: Steps done.
        steps_per_epoch: Steps per pass over the data.
        peak: Peak learning rate; where it is below the usual floor, it is the rate of all steps.
    """
    floor = min(_RESTART_FLOOR, peak)
    position = (step // steps_per_epoch) % _RESTART_EPOCHS / _RESTART_EPOCHS
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * position))
