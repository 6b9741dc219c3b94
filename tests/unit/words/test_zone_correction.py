from __future__ import annotations

import math

import numpy as np
import pytest
from test_zone_atlas import CHEST, LOWER, NONE, TWO, UPPER, Q, block, noise_atlas, said

from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import load_vocabulary
from lexiseg.words.zone_atlas import GRID, make_atlas
from lexiseg.words.zone_correction import (
    CorrectionCase,
    fit_strength,
    halves_without_lesion,
    logit_correction,
    without_excluded,
)

LN2 = math.log(2)


def test_a_stated_zone_adds_the_logarithm_of_its_odds() -> None:
    atlas = make_atlas(TWO, CHEST, classes=1, axes=())
    added = logit_correction(atlas, said(UPPER, NONE), (GRID, GRID))
    # P is 1/2 in all images, 2/3 in those with "upper", and 1/3 in the lower quarter of these.
    assert added[0, Q, Q] == pytest.approx(LN2, abs=1e-5)
    assert added[0, 3 * Q, Q] == pytest.approx(-LN2, abs=1e-5)
    assert added[0, Q, 3 * Q] == pytest.approx(0, abs=1e-5)
    assert (logit_correction(atlas, (UNKNOWN,) * 4, (8, 8)) == 0).all()


def test_scores_are_corrected_and_free_halves_excluded() -> None:
    atlas = make_atlas(TWO, CHEST, classes=1, axes=())
    scores = np.full((1, GRID, GRID), 3.0, np.float32)
    case = CorrectionCase(
        logits=scores,
        correction=logit_correction(atlas, said(UPPER, NONE), (GRID, GRID)),
        excluded=halves_without_lesion(CHEST, said(UPPER, NONE), (GRID, GRID)),
        labels=np.zeros((GRID, GRID), np.uint8),
    )
    result = case.corrected(2.0)
    assert result[0, Q, Q] == pytest.approx(3 + 2 * LN2, abs=1e-5)
    assert (result[0, :, 32:] == -10).all()
    only_free = case.corrected(0.0)
    assert (only_free[0, :, :32] == 3).all()
    assert (only_free[0, :, 32:] == -10).all()
    assert (scores == 3).all()  # the given scores stay as they are


def test_excluded_pixels_of_several_classes_are_background() -> None:
    scores = np.zeros((3, 1, 2), np.float32)
    scores[:, 0, 0], scores[:, 0, 1] = (2.0, 5.0, -20.0), (2.0, 5.0, 1.0)
    changed = without_excluded(scores, np.array([[True, False]]))
    assert changed[:, 0, 0].tolist() == [2.0, -8.0, -20.0]
    assert changed[:, 0, 1].tolist() == [2.0, 5.0, 1.0]


def test_classes_share_what_the_background_loses() -> None:
    cases = [(block(0, 0), said(UPPER, NONE)), (block(1, 0, label=2), said(LOWER, NONE))]
    atlas = make_atlas(cases, CHEST, classes=2, axes=())
    added = logit_correction(atlas, said(UPPER, NONE), (GRID, GRID))
    assert added.shape == (3, GRID, GRID)
    background = math.log((1 - 2 / 3 - 0.002) / (1 - 1 / 2 - 0.002))
    assert added[0, Q, Q] == pytest.approx(background, abs=1e-3)
    assert added[1, Q, Q] == pytest.approx(math.log((2 / 3) / (1 / 2)), abs=1e-4)
    assert added[2, Q, Q] == pytest.approx(0, abs=1e-4)


def test_corrections_are_mirrored_with_the_words() -> None:
    atlas, rng = noise_atlas(CHEST), np.random.default_rng(3)
    for _ in range(5):
        words = [int(rng.integers(-1, size)) for size in CHEST.sizes]
        mirrored = flip(CHEST, words, "horizontal")
        own, other = (logit_correction(atlas, w, (31, 45)) for w in (words, mirrored))
        assert other == pytest.approx(own[..., ::-1], abs=1e-5)
        free, turned = (halves_without_lesion(CHEST, w, (31, 45)) for w in (words, mirrored))
        assert (turned == free[:, ::-1]).all()


def test_free_halves_follow_the_side() -> None:
    free = halves_without_lesion(CHEST, said(NONE, UPPER), (2, 4), side="patient")
    assert free.tolist() == [[False, False, True, True]] * 2
    polyp = load_vocabulary("polyp")
    assert not halves_without_lesion(polyp, [0] * len(polyp.factors), (2, 4)).any()


def test_the_strength_with_the_best_dice_is_chosen() -> None:
    # One pixel of the lesion has a score of -1.2: the correction of 1 finds it from a weight of 1.5 on.
    case = CorrectionCase(
        logits=np.array([[[2.0, -1.2, -3.0]]], np.float32),
        correction=np.array([[[0.0, 1.0, 1.0]]], np.float32),
        excluded=np.array([[False, False, False]]),
        labels=np.array([[1, 1, 0]], np.uint8),
    )
    assert case.dice(1.0) == pytest.approx(2 / 3)
    assert case.dice(1.5) == 1
    assert fit_strength([case]) == 1.5
    wrong = CorrectionCase(**{**vars(case), "labels": np.array([[1, 0, 0]], np.uint8)})
    assert fit_strength([wrong]) == 0
    assert fit_strength([case, wrong, wrong]) == 0


def test_a_class_that_neither_mask_holds_counts_as_right() -> None:
    logits = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]], np.float32)
    labels = np.array([[0, 1]], np.uint8)
    case = CorrectionCase(
        logits=logits, correction=np.zeros_like(logits), excluded=np.zeros((1, 2), bool), labels=labels
    )
    assert case.dice(0.0) == 1
