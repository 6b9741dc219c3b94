"""Whether an arm has learned enough to be compared: better than a constant mask, and no longer improving."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data import DatasetIndex, Split
from lexiseg.data.content import image_turn
from lexiseg.data.readers import read_labels
from lexiseg.evaluation.report.training_trend import (
    FEWEST_VALIDATIONS,
    STILL_RISING,
    curve_of,
    rise_at_end,
)

# Constant masks are compared on a coarse grid: they have no fine outlines.
_GRID = 64
_SHARES = np.arange(0.05, 1.0, 0.05)


def best_constant_dice(index: DatasetIndex, split: Split) -> float:
    """Return the mean Dice of the best mask that is the same for every image of a split, 0..1.

    It marks the pixels that are lesion in more than a share of the true masks, with the best share for each
    class. A network that has learned to look at images is better.

    Args:
        index: The data set.
        split: The split; its masks are read, at 64 x 64 pixels.

    Raises:
        DataError: An image or a mask cannot be read.
    """
    truth = np.stack(
        [
            # As displayed, which is what networks see: a DICOM file can be stored mirrored or rotated.
            _coarse(image_turn(sample.image).apply(read_labels(sample, index.coding)))
            for sample in index.split(split)
            if sample.mask is not None
        ]
    )
    return float(np.mean([_best_dice(truth == label) for label in range(1, index.num_classes)]))


def _coarse(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(mask).resize((_GRID, _GRID), Image.Resampling.NEAREST))


def _best_dice(truth: npt.NDArray[np.bool_]) -> float:
    """Return the best mean Dice of a constant mask for masks `(cases, H, W)`; two empty masks score 1."""
    flat = truth.reshape(len(truth), -1)
    frequency, sizes = flat.mean(axis=0), flat.sum(axis=1)
    best = float(np.mean(sizes == 0))  # the empty mask
    for share in _SHARES:
        constant = frequency > share
        if constant.any():
            best = max(best, float(np.mean(2 * flat[:, constant].sum(axis=1) / (sizes + constant.sum()))))
    return best


def last_rise(history: Path) -> float | None:
    """Return by how much the best validation Dice of the last quarter of a training exceeds that before.

    Args:
        history: The run's `history.csv`.

    Returns:
        The rise, negative if there is none; None if there are too few validations to say.
    """
    if not history.is_file():
        return None
    with open(history, encoding="utf-8", newline="") as file:
        return rise_at_end(curve_of(list(csv.DictReader(file)), "val/dice"))


def undertrained(dice: float, constant: float, rises: Sequence[float | None]) -> str | None:
    """Return why an arm has not learned enough to be compared; None if it has.

    Args:
        dice: Its mean Dice, 0..1.
        constant: The mean Dice of the best constant mask, 0..1.
        rises: The last rise of each of its trainings; None where it is not known.
    """
    if dice <= constant:
        return (
            f"Dice {dice:.3f}, no better than {constant:.3f} of the best mask that is the same for all images"
        )
    known = [rise for rise in rises if rise is not None]
    if not known:
        return (
            "it is not known whether its validation Dice still rose at the end of the training, which needs "
            f"at least {FEWEST_VALIDATIONS} validations"
        )
    if float(np.mean(known)) > STILL_RISING:
        return f"its validation Dice still rose by {np.mean(known):.3f} in the last quarter of the training"
    return None
