"""The Dice of two masks, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lexiseg.mask_overlap import label_dice, mean_dice, region_dice

PREDICTED, TRUTH = np.array([[1, 1, 2, 0]]), np.array([[1, 2, 2, 2]])
EMPTY = np.zeros((1, 4), np.uint8)


def test_regions_ignore_the_class_and_labels_do_not() -> None:
    assert region_dice(PREDICTED > 0, TRUTH > 0) == pytest.approx(6 / 7)
    assert label_dice(PREDICTED, TRUTH) == pytest.approx(4 / 7)


def test_empty_masks() -> None:
    assert region_dice(EMPTY > 0, EMPTY > 0) == 1.0
    assert label_dice(EMPTY, EMPTY) == 1.0
    assert region_dice(EMPTY > 0, TRUTH > 0) == 0.0
    assert label_dice(TRUTH, EMPTY) == 0.0


def test_dice_over_foreground_classes_by_hand() -> None:
    predicted, truth = np.array([[1, 1, 2, 0]]), np.array([[1, 0, 0, 0]])
    assert mean_dice(predicted, truth, 2) == pytest.approx(2 / 3)
    assert mean_dice(predicted, truth, 4) == pytest.approx((2 / 3 + 0 + 1) / 3)  # class 3 is nowhere
    assert mean_dice(truth * 0, truth * 0, 3) == 1.0
