"""Learning rates over a training."""

from __future__ import annotations

import math

WARMUP_STEPS = 100


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


def warm_restarts(
    step: int, steps_per_epoch: int, *, peak: float, restart_epochs: int = 10, floor: float = 1e-4
) -> float:
    """Return the learning rate of a cosine with warm restarts (Loshchilov and Hutter, 2017).

    Args:
        step: Steps done.
        steps_per_epoch: Steps per pass over the data.
        peak: Peak learning rate.
        restart_epochs: Epochs between restarts.
        floor: Lowest learning rate; a lower peak is the rate of all steps.
    """
    floor = min(floor, peak)
    position = (step // steps_per_epoch) % restart_epochs / restart_epochs
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * position))
