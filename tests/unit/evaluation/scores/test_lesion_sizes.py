"""Means that are standardised by lesion size, worked out by hand."""

from __future__ import annotations

import pytest

from lexiseg.evaluation.scores.lesion_sizes import LesionSizes
from refusals import refuses

#: Two images without a lesion, and two each of small, medium and large ones: the terciles of the six lesions,
#: by linear interpolation, are 0.02 + 2/3 * 0.08 and 0.12 + 1/3 * 0.28.
TRAINING = [0, 0, 0.01, 0.02, 0.10, 0.12, 0.40, 0.5]


def test_the_groups_are_the_terciles_of_the_lesions() -> None:
    sizes = LesionSizes.of(TRAINING)
    assert sizes.cuts == pytest.approx((0.02 + 2 / 3 * 0.08, 0.12 + 1 / 3 * 0.28))
    assert sizes.weights == (0.25, 0.25, 0.25, 0.25)
    assert sizes.images == 8


def test_groups_that_validation_holds_too_often_weigh_less() -> None:
    sizes = LesionSizes.of(TRAINING[2:])
    assert sizes.weights == pytest.approx((0, 1 / 3, 1 / 3, 1 / 3))
    scores, shares = [0.5, 0.6, 0.7, 0.9, 1.0], [0.001, 0.01, 0.02, 0.1, 0.9]
    # The plain mean is 0.74; the group means 0.6, 0.9 and 1 weigh a third each.
    assert sizes.standardised(scores, shares) == pytest.approx((0.6 + 0.9 + 1.0) / 3)
    assert sizes.absent(shares) == ()


def test_a_group_without_a_case_leaves_its_weight_to_the_others() -> None:
    sizes = LesionSizes.of(TRAINING)
    scores, shares = [1.0, 0.5, 0.7, 0.9], [0, 0.01, 0.01, 0.1]
    assert sizes.absent(shares) == ("large",)
    assert sizes.standardised(scores, shares) == pytest.approx((1.0 + 0.6 + 0.9) / 3)


def test_cases_of_groups_that_training_lacks_do_not_count() -> None:
    sizes = LesionSizes.of(TRAINING[2:])
    assert sizes.standardised([0.0, 0.8], [0, 0.1]) == pytest.approx(0.8)
    assert sizes.standardised([0.0, 1.0], [0, 0]) == pytest.approx(
        0.5
    )  # nothing has a weight: the plain mean


def test_a_lesion_as_large_as_a_cut_is_in_the_lower_group() -> None:
    sizes = LesionSizes(images=4, cuts=(0.1, 0.2), weights=(0, 0.5, 0.25, 0.25))
    assert sizes.standardised([0.0, 1.0], [0.1, 0.2]) == pytest.approx(0.25 / 0.75)
    assert sizes.absent([0.1]) == ("medium", "large")


def test_the_same_sizes_give_the_plain_mean() -> None:
    sizes = LesionSizes.of(TRAINING)
    scores = [1, 0.9, 0.4, 0.3, 0.7, 0.8, 0.9, 0.95]
    assert sizes.standardised(scores, TRAINING) == pytest.approx(sum(scores) / 8)


def test_no_lesion_at_all_is_refused() -> None:
    with refuses("LEX-USE-092"):
        LesionSizes.of([0, 0])
