from __future__ import annotations

import math

import numpy as np
import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.lesion_scene import lesion_of, scene_of
from lexiseg.words.mask_fit import mask_fit
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
LEFT = CHEST.factor("left")


def gap(labels: np.ndarray, index: int) -> float | None:
    assert LEFT.measure is not None
    return LEFT.measure.gap(scene_of(lesion_of(labels)), LEFT.phrases, index)


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((64, 64), np.uint8)
    for number, (top, bottom, left, right) in enumerate(boxes):
        labels[top:bottom, left:right] = number % 2 + 1
    return labels


TWO = mask((8, 24, 8, 22), (36, 54, 40, 56))
LEFT_ONE = mask((8, 24, 8, 22))


@pytest.mark.parametrize("labels", [TWO, LEFT_ONE, mask()])
def test_a_mask_fits_its_own_words(labels: np.ndarray) -> None:
    assert mask_fit(labels, CHEST, measure_indices(labels, CHEST, side="image"), side="image") == 1


def test_each_contradicted_factor_takes_nine_tenths() -> None:
    said = list(measure_indices(LEFT_ONE, CHEST, side="image"))
    said[0] = 0  # bilateral
    assert mask_fit(LEFT_ONE, CHEST, said, side="image") == pytest.approx(0.1)
    said[1] = 1  # multiple
    assert mask_fit(LEFT_ONE, CHEST, said, side="image") == pytest.approx(0.01)
    said[3] = 0  # and in the upper right lung, where there is none
    assert mask_fit(LEFT_ONE, CHEST, said, side="image") == pytest.approx(0.001)
    assert mask_fit(LEFT_ONE, CHEST, [UNKNOWN] * 4, side="image") == 1


def test_zones_are_graded_by_their_scores() -> None:
    said = list(measure_indices(LEFT_ONE, CHEST, side="image"))
    gaps = [gap(LEFT_ONE, index) for index in range(8)]
    assert gaps[said[2]] == 0
    assert gaps[7] is None  # "no lesion", but there is one
    for index in range(7):
        value = mask_fit(LEFT_ONE, CHEST, [UNKNOWN, UNKNOWN, index, UNKNOWN], side="image")
        assert value == pytest.approx(math.exp(-gaps[index]))
    assert sorted(value for value in gaps if value is not None)[1] > 0
    assert gap(mask(), 7) == 0
    assert gap(mask(), 0) is None


def test_mirrored_masks_fit_mirrored_words() -> None:
    for said in ((0, 1, 3, 5), (1, 0, 7, 2)):
        expected = mask_fit(TWO, CHEST, said, side="image")
        mirrored = flip(CHEST, said, "horizontal")
        assert mask_fit(TWO[:, ::-1], CHEST, mirrored, side="image") == pytest.approx(expected)
        assert mask_fit(TWO, CHEST, mirrored, side="patient") == pytest.approx(expected)


def test_shapes_and_colours_are_passed_over() -> None:
    said = list(measure_indices(LEFT_ONE, POLYP, side="image"))
    assert mask_fit(LEFT_ONE, POLYP, [*said[:2], (said[2] + 1) % 4, said[3], 2], side="image") == 1
    assert mask_fit(LEFT_ONE, POLYP, [said[0], (said[1] + 1) % 9, *said[2:]], side="image") == pytest.approx(
        0.1
    )
