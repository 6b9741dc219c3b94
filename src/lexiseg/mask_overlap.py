"""The Dice of two masks. A region or class that neither mask holds scores 1.

Shape legend: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]


def region_dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    """Return the Dice of two regions of the same shape; 1 if both are empty."""
    return _dice(int((first & second).sum()), int(first.sum()) + int(second.sum()))


def label_dice(first: Labels, second: Labels) -> float:
    """Return the Dice of two label masks, all classes together; 1 if both are empty.

    A pixel is in both only where both give it the same class.

    Args:
        first: Labels `(H, W)`, 0: background.
        second: Labels of the same shape.
    """
    same = (first == second) & (first > 0)
    return _dice(int(same.sum()), int((first > 0).sum()) + int((second > 0).sum()))


def mean_dice(predicted: Labels, truth: Labels, num_classes: int) -> float:
    """Return the mean Dice of the foreground classes; one that neither mask holds scores 1.

    Args:
        predicted: Labels `(H, W)`.
        truth: Labels of the same shape.
        num_classes: Number of classes, background included.
    """
    scores = [region_dice(predicted == label, truth == label) for label in range(1, num_classes)]
    return float(np.mean(scores))


def _dice(shared: int, total: int) -> float:
    return 2 * shared / total if total else 1.0
