from __future__ import annotations

import numpy as np
import pytest

from lexiseg.errors import UsageError
from lexiseg.evaluation.scores import statistics
from lexiseg.evaluation.scores.metrics import CaseScores, case_metrics
from lexiseg.evaluation.scores.metrics_file import MeanScore
from lexiseg.evaluation.scores.statistics import (
    few_cases,
    holm,
    mean_ci,
    paired_difference,
    pooled,
    pooled_ci,
    size_terciles,
)
from refusals import refuses


def test_mean_and_interval_of_many_cases() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    result = mean_ci(values)
    assert result.mean == pytest.approx(values.mean())
    # The bootstrap of a mean of normal values comes close to mean -+ 1.96 standard errors.
    error = 1.96 * values.std() / 20
    assert result.ci95 == pytest.approx([values.mean() - error, values.mean() + error], abs=0.1 * error)


def test_interval_is_seeded_and_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(50)
    once = mean_ci(values, seed=3)
    assert mean_ci(values, seed=3) == once
    assert mean_ci(values, seed=4) != once
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 120)
    assert mean_ci(values, seed=3) == once


def test_one_case_has_no_interval_and_equal_cases_have_no_spread() -> None:
    assert mean_ci([0.25]) == MeanScore(mean=0.25, ci95=None)
    assert mean_ci([0.25, 0.75], ["p", "p"]) == MeanScore(mean=0.5, ci95=None)
    assert paired_difference([0.5], [0.25]).ci95 is None
    assert mean_ci([0.5] * 9).ci95 == (0.5, 0.5)


def test_clusters_widen_the_interval_and_keep_the_mean() -> None:
    # 20 patients with 10 equal images each are 20 observations, not 200.
    per_patient = np.random.default_rng(2).random(20)
    values, patients = np.repeat(per_patient, 10), np.repeat(np.arange(20), 10).tolist()
    clustered, free, patients_only = mean_ci(values, patients), mean_ci(values), mean_ci(per_patient)
    assert clustered.mean == pytest.approx(free.mean)
    assert clustered.ci95 == pytest.approx(patients_only.ci95)

    def width(result: statistics.Interval) -> float:
        return result.ci95[1] - result.ci95[0]

    assert width(clustered) > 2.5 * width(free)


def test_mean_counts_cases_even_with_uneven_clusters() -> None:
    # One patient with three images of 1, one with one image of 0: mean over cases is 0.75, not 0.5.
    result = mean_ci([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert result == MeanScore(mean=0.75, ci95=(0.0, 1.0))
    # 20 patients with nine images of 1, 20 with one image of 0: the interval lies around 0.9, not around 0.5.
    values = [1.0] * 180 + [0.0] * 20
    patients = [number // 9 for number in range(180)] + list(range(100, 120))
    low, high = mean_ci(values, patients).ci95
    assert 0.75 < low < 0.9 < high < 1.0


def test_cases_without_a_patient_stand_alone() -> None:
    values = np.random.default_rng(5).random(30)
    assert mean_ci(values, [None] * 30) == mean_ci(values)
    # An unknown patient is nobody's twin, not even of a patient whose id looks like a position.
    assert mean_ci([0.0, 1.0, 0.5], [None, 0, 1]) == mean_ci([0.0, 1.0, 0.5])


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [
        ([], None, "at least one finite number"),
        ([0.5, float("nan")], None, "at least one finite number"),
        ([[0.5], [0.5]], None, "got shape"),
        ([0.5, 0.6], ["a"], "one cluster per value, got 1 for 2"),
    ],
)
def test_statistics_refuse_what_would_be_dropped_elsewhere(
    values: list[float], clusters: list[str] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mean_ci(values, clusters)


def test_paired_difference_by_hand() -> None:
    # Differences 1..6 tenths, all positive: of 2**6 sign patterns two are as extreme, p = 2 / 64.
    b = np.full(6, 0.2)
    a = b + np.arange(1, 7) / 10
    result = paired_difference(a, b)
    assert result.mean == pytest.approx(0.35)
    assert result.p_value == pytest.approx(2 / 64)
    assert (result.better, result.worse, result.equal) == (6, 0, 0)
    assert 0.1 < result.ci95[0] < 0.35 < result.ci95[1] < 0.6
    mirrored = paired_difference(b, a)
    assert (mirrored.better, mirrored.worse) == (0, 6)
    assert mirrored.mean == pytest.approx(-0.35)
    assert mirrored.p_value == pytest.approx(result.p_value)


def test_paired_interval_is_narrower_than_the_spread_of_cases() -> None:
    b = np.random.default_rng(0).random(200)
    result = paired_difference(b + 0.01, b)
    assert result.ci95 == pytest.approx((0.01, 0.01))


def test_no_difference_has_p_one() -> None:
    result = paired_difference([0.1, 0.2], [0.1, 0.2])
    assert (result.mean, result.ci95, result.p_value, result.equal) == (0.0, (0.0, 0.0), 1.0, 2)


def test_paired_test_over_patients() -> None:
    # 6 patients with 4 equal images: as significant as 6 cases, not as 24.
    a = np.repeat(np.arange(1, 7) / 10, 4)
    clusters = np.repeat(np.arange(6), 4).tolist()
    assert paired_difference(a, np.zeros(24), clusters).p_value == pytest.approx(2 / 64)
    assert paired_difference(a, np.zeros(24)).p_value < 1e-3


def test_paired_interval_over_uneven_patients_by_hand() -> None:
    # One of four patients has two images with a difference of 0.4, the others one image each without. A draw
    # of four holds the first patient k times, and its mean is 0.8 k / (4 + k): P(k <= 2) = 0.949, and
    # P(k <= 3) = 0.996.
    result = paired_difference([0.9, 0.9, 0.5, 0.5, 0.5], [0.5] * 5, ["p", "p", "q", "r", "s"])
    assert result.mean == pytest.approx(0.8 / 5)
    assert result.ci95 == pytest.approx((0.0, 0.8 * 3 / 7))


def test_paired_test_with_signs_by_hand() -> None:
    # The means of the patients have the ranks 1, -2, 3, 4, 5, 6. Of 64 sign patterns, three have negative
    # ranks with a sum of at most 2: none, 1, and 2.
    a = [0.01, -0.05, 0.01, 0.03, 0.04, 0.05, 0.06]  # those of the second patient: -0.05 and 0.01
    clusters = ["p", "q", "q", "r", "s", "t", "u"]
    assert paired_difference(a, [0.0] * 7, clusters).p_value == pytest.approx(2 * 3 / 64)


def test_paired_needs_the_same_cases() -> None:
    with refuses("LEX-USE-090", "same cases, got 2 and 3"):
        paired_difference([0.1, 0.2], [0.1, 0.2, 0.3])


def test_holm_by_hand() -> None:
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.5 * 1, made rising, in the order given.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with refuses("LEX-USE-091", "p-values lie in 0..1"):
        holm([1.5])


def test_size_terciles_leave_empty_masks_out() -> None:
    shares = [0.0, 0.0, 0.01, 0.02, 0.03, 0.04]
    low, high = size_terciles(shares)
    assert (low, high) == pytest.approx((0.02, 0.03))
    with refuses("LEX-USE-092", "least one case"):
        size_terciles([0.0, 0.0])


def test_pooled_by_hand() -> None:
    def mask(columns: int, label: int = 1) -> np.ndarray:
        labels = np.zeros((10, 10), np.uint8)
        labels[:, :columns] = label
        return labels

    # 90 of 100 pixels right in a large lesion, 0 of 10 in a small one.
    cases = [
        case_metrics(mask(9), mask(10), num_classes=2),
        case_metrics(mask(0), mask(1), num_classes=2),
    ]
    dice, iou = pooled(cases)
    assert dice == pytest.approx(2 * 90 / (90 + 110))
    assert iou == pytest.approx(90 / 110)
    assert np.mean([case.dice for case in cases]) == pytest.approx((180 / 190) / 2)
    with refuses("LEX-USE-093", "at least one case"):
        pooled([])


def test_pooled_averages_classes() -> None:
    truth = np.array([[1, 1, 2, 2]], np.uint8)
    predicted = np.array([[1, 1, 2, 0]], np.uint8)
    assert pooled([case_metrics(predicted, truth, num_classes=3)])[0] == pytest.approx((1 + 2 / 3) / 2)


def case_of(both: int, predicted: int, truth: int) -> CaseScores:
    """Make a case of a 32 x 32 image from its numbers of pixels."""
    labels = np.zeros((2, 32, 32), np.uint8)
    labels[0].flat[:truth] = 1
    labels[1].flat[truth - both : truth - both + predicted] = 1
    return case_metrics(labels[1], labels[0], num_classes=2)


def test_pooled_interval_by_hand() -> None:
    # A draw of two holds the first case twice (1 of 4), both (2 of 4), or the second twice (1 of 4).
    cases = [case_of(90, 100, 100), case_of(2, 6, 4)]
    dice, iou = pooled_ci(cases)
    assert dice == pytest.approx((2 * 2 / 10, 2 * 90 / 200))
    assert iou == pytest.approx((2 / 8, 90 / 110))
    # A patient with both images leaves nothing to draw from.
    assert pooled_ci(cases, ["a", "a"]) == (None, None)


def test_pooled_interval_of_equal_weights_is_that_of_the_mean() -> None:
    # With |P| + |T| the same in every case, the pooled Dice of any draw is the mean of its cases.
    shared = np.random.default_rng(0).integers(0, 101, 40)
    cases = [case_of(int(number), 100, 100) for number in shared]
    patients = [number // 3 for number in range(40)]
    expected = mean_ci([case.dice for case in cases], patients, seed=5).ci95
    assert pooled_ci(cases, patients, seed=5)[0] == pytest.approx(tuple(expected))
    assert pooled_ci(cases, seed=5)[0] != pytest.approx(tuple(expected))


def test_pooled_interval_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case_of(number, 20, 30) for number in range(12)]
    once = pooled_ci(cases, seed=3)
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 30)
    assert pooled_ci(cases, seed=3) == once


def test_pooled_interval_averages_classes_and_counts_nothing_as_right() -> None:
    truth = np.array([[1, 1, 0, 0]], np.uint8)
    case = case_metrics(np.array([[1, 0, 0, 0]], np.uint8), truth, num_classes=3)
    # Class 1: 2 * 1 / 3; class 2 is in neither mask: 1.
    assert pooled_ci([case, case])[0] == pytest.approx(((2 / 3 + 1) / 2,) * 2)
    with refuses("LEX-USE-093", "at least one case"):
        pooled_ci([])
    with refuses("LEX-USE-095", "value, got 2"):
        pooled_ci([case], ["a", "b"])


@pytest.mark.parametrize(
    ("clusters", "said"),
    [
        ([None] * 30, None),
        ([None] * 29, "Few cases: 29 images. Their 95 % intervals are rough, and mostly too narrow."),
        (["a", "b"] * 20, "Few cases: 40 images of 2 patients. Their 95 % intervals are rough"),
        ([None], "Few cases: one image, so there is no 95 % interval."),
        (["a", "a"], "Few cases: one patient, so there is no 95 % interval."),
    ],
)
def test_few_cases_are_named(clusters: list[str | None], said: str | None) -> None:
    found = few_cases(clusters)
    assert found is None if said is None else found is not None and found.startswith(said)
