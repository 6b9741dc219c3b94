"""Of the masks that a network's probabilities allow, the one that fits what is said of the image best."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexiseg.words.description import Side
from lexiseg.words.fit import fit, without_denied
from lexiseg.words.measure_rules import LateralityMeasure, ZonesMeasure
from lexiseg.words.vocabulary import Vocabulary

#: Probabilities of the foreground from which a pixel is lesion; the middle one is the usual one.
_LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)

#: What each step away from the usual level costs: a mask further away must fit better by as much.
_STEP = 0.8


def best_level_set(
    foreground: NDArray[np.floating[Any]],
    labels: NDArray[np.uint8],
    vocabulary: Vocabulary,
    indices: Sequence[int],
    *,
    side: Side | None = None,
) -> tuple[NDArray[np.uint8], float]:
    """Return the level set that fits words best, and how well it does.

    A level set is what is left of the pixels above a probability after `without_denied`. Where words speak
    of halves, each half of the image has a level of its own: a lesion that is said to be there and was missed
    may be found at a lower one, too large a one shrinks at a higher one. What is maximised is `fit` times 0.8
    for each step away from the usual level of 0.5; of equals, the one whose area is nearest to the usual one.

    Args:
        foreground: Probability of lesion, (H, W) in 0..1.
        labels: What a pixel is if it is lesion, (H, W) uint8, 1 or more everywhere.
        vocabulary: The vocabulary.
        indices: What is said, one index per factor, `UNKNOWN` allowed.
        side: Side convention of the words; default: the vocabulary's.

    Returns:
        The mask, (H, W) uint8, 0 is background, and its fit in 0..1.
    """
    middle = len(_LEVELS) // 2
    best_mask, best_fit, best_rank = np.zeros_like(labels), 0.0, (-1.0, 0.0)
    usual_area = int((foreground > _LEVELS[middle]).sum())
    for steps, levels in _by_distance(middle, separate=_speaks_of_halves(vocabulary)):
        if best_rank[0] >= _STEP**steps:  # no fit is above 1
            break
        mask = _level_set(foreground, labels, levels)
        mask = without_denied(mask, vocabulary, indices, side=side)
        value = fit(mask, vocabulary, indices, side=side)
        rank = (value * _STEP**steps, -abs(int((mask != 0).sum()) - usual_area))
        if rank > best_rank:
            best_mask, best_fit, best_rank = mask, value, rank
    return best_mask, best_fit


def _by_distance(middle: int, *, separate: bool) -> list[tuple[int, tuple[float, float]]]:
    """Return steps away from the usual level, and the levels of left and right half, nearest first."""
    positions = range(len(_LEVELS))
    pairs = product(positions, positions) if separate else ((i, i) for i in positions)
    # Without halves, one step moves both levels, and counts once.
    steps = [((abs(i - middle) + abs(j - middle)) // (1 if separate else 2), i, j) for i, j in pairs]
    return [(number, (_LEVELS[i], _LEVELS[j])) for number, i, j in sorted(steps)]


def _level_set(
    foreground: NDArray[np.floating[Any]], labels: NDArray[np.uint8], levels: tuple[float, float]
) -> NDArray[np.uint8]:
    columns = foreground.shape[1]
    # The middle column of an odd width lies between both halves, so that mirrored images get mirrored masks.
    level = np.full(columns, (levels[0] + levels[1]) / 2)
    level[: columns // 2], level[columns - columns // 2 :] = levels
    return np.where(foreground > level, labels, np.uint8(0))


def _speaks_of_halves(vocabulary: Vocabulary) -> bool:
    return any(isinstance(f.measure, ZonesMeasure | LateralityMeasure) for f in vocabulary.factors)
