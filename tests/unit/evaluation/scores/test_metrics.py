from __future__ import annotations

import math
import time
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter

from lexiseg.errors import UsageError
from lexiseg.evaluation.scores.metrics import case_metrics, overlap


def square(top: int, left: int, height: int, width: int, shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def blob(seed: int, share: float = 0.15, size: int = 224, smooth: float = 12) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), smooth)
    return (field > np.quantile(field, 1 - share)).astype(np.uint8)


def test_counts_dice_and_iou_by_hand() -> None:
    # 4 x 4 against 4 x 4, moved by two columns: 8 of 16 pixels are shared.
    scores = case_metrics(square(2, 2, 4, 4), square(2, 4, 4, 4), num_classes=2)
    (only,) = scores.classes
    assert (only.predicted_px, only.truth_px, only.intersection_px) == (16, 16, 8)
    assert scores.dice == pytest.approx(0.5)
    assert scores.iou == pytest.approx(8 / 24)
    assert not scores.one_sided_empty


def test_boundary_scores_by_hand() -> None:
    # Two lines of 5 pixels, 3 rows apart: every boundary pixel is exactly 3 from the other.
    predicted, truth = square(2, 3, 1, 5), square(5, 3, 1, 5)
    assert case_metrics(predicted, truth, num_classes=2).hd95 == pytest.approx(3.0)
    assert case_metrics(predicted, truth, num_classes=2, tolerance=2.9).surface_dice == 0.0
    assert case_metrics(predicted, truth, num_classes=2, tolerance=3.0).surface_dice == 1.0


def test_surface_dice_counts_both_boundaries() -> None:
    # Truth: a pixel. Prediction: that pixel, and more at distances 1 and 5. Tolerance 2: (2 + 1) of (3 + 1).
    truth, predicted = square(3, 3, 1, 1), square(3, 3, 1, 2)
    predicted[3, 8] = 1
    assert case_metrics(predicted, truth, num_classes=2).surface_dice == pytest.approx(3 / 4)


def test_hd95_is_the_larger_direction_with_linear_percentile() -> None:
    # From the prediction: distances 0, 1, 5 -> 95th percentile 1 + 0.9 * 4; from the truth: 0.
    truth, predicted = square(3, 3, 1, 1), square(3, 3, 1, 2)
    predicted[3, 8] = 1
    for a, b in ((predicted, truth), (truth, predicted)):
        assert case_metrics(a, b, num_classes=2).hd95 == pytest.approx(4.6)


def test_spacing_puts_distances_in_millimetres() -> None:
    rows_apart = (square(2, 3, 1, 5), square(5, 3, 1, 5))
    scores = case_metrics(*rows_apart, num_classes=2, spacing_mm=(0.5, 2.0))
    assert scores.hd95 == pytest.approx(1.5)
    assert scores.surface_dice == 1.0  # 1.5 mm is within 2 mm, 3 px was not
    columns_apart = (square(2, 3, 5, 1), square(2, 6, 5, 1))
    assert case_metrics(*columns_apart, num_classes=2, spacing_mm=(0.5, 2.0)).hd95 == pytest.approx(6.0)


def test_tolerance_survives_rounding_of_the_spacing() -> None:
    # Rows 3 and 6 of 0.1 mm are 0.30000000000000004 mm apart.
    predicted, truth = square(3, 3, 1, 5), square(6, 3, 1, 5)
    scores = case_metrics(predicted, truth, num_classes=2, spacing_mm=(0.1, 0.1), tolerance=0.3)
    assert scores.surface_dice == 1.0


def test_both_empty_is_perfect() -> None:
    empty = np.zeros((12, 16), np.uint8)
    scores = case_metrics(empty, empty, num_classes=2)
    assert (scores.dice, scores.iou, scores.surface_dice, scores.hd95) == (1.0, 1.0, 1.0, 0.0)
    assert not scores.one_sided_empty


@pytest.mark.parametrize("swap", [False, True])
def test_one_sided_empty_scores_zero_and_counts_the_diagonal(swap: bool) -> None:
    pair = [np.zeros((12, 16), np.uint8), square(2, 3, 4, 4)]
    predicted, truth = pair[::-1] if swap else pair
    scores = case_metrics(predicted, truth, num_classes=2)
    assert (scores.dice, scores.iou, scores.surface_dice) == (0.0, 0.0, 0.0)
    assert scores.hd95 == pytest.approx(20.0)  # hypot(12, 16)
    assert scores.one_sided_empty
    in_mm = case_metrics(predicted, truth, num_classes=2, spacing_mm=(1.0, 0.5))
    assert in_mm.hd95 == pytest.approx(math.hypot(12, 8))


def test_several_classes_are_scored_one_by_one_then_averaged() -> None:
    truth = square(2, 2, 4, 4) + 2 * square(8, 8, 2, 2)
    predicted = square(2, 4, 4, 4)  # class 1 half right, class 2 missed, class 3 in neither
    scores = case_metrics(predicted, truth, num_classes=4)
    assert [c.dice for c in scores.classes] == pytest.approx([0.5, 0.0, 1.0])
    assert scores.dice == pytest.approx(0.5)
    assert [c.one_sided_empty for c in scores.classes] == [False, True, False]
    assert scores.one_sided_empty


def test_masks_at_the_border_have_a_closed_boundary() -> None:
    full = np.ones((6, 6), np.uint8)
    inner = square(1, 1, 4, 4, (6, 6))
    # The border of the full image is its boundary: 4 corners are sqrt 2, 16 pixels 1 from the inner ring.
    scores = case_metrics(full, inner, num_classes=2, tolerance=1.0)
    assert scores.surface_dice == pytest.approx((16 + 12) / (20 + 12))


@pytest.mark.parametrize("spacing", [None, (0.7, 1.3)])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_monai(seed: int, spacing: tuple[float, float] | None) -> None:
    predicted, truth = blob(seed, 0.1, 96, 5), blob(seed + 50, 0.2, 96, 5)
    scores = case_metrics(predicted, truth, num_classes=2, spacing_mm=spacing, tolerance=3.0)
    one_hot = [torch.from_numpy(np.stack([1 - m, m])[None]).float() for m in (predicted, truth)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        hd95 = compute_hausdorff_distance(*one_hot, percentile=95, spacing=spacing).item()
        surface = compute_surface_dice(*one_hot, class_thresholds=[3.0], spacing=spacing).item()
    assert scores.hd95 == pytest.approx(hd95, abs=1e-4)
    assert scores.surface_dice == pytest.approx(surface, abs=1e-6)


def test_perfect_prediction_and_symmetry() -> None:
    a, b = blob(1), blob(2)
    perfect = case_metrics(a, a, num_classes=2)
    assert (perfect.dice, perfect.iou, perfect.surface_dice, perfect.hd95) == (1.0, 1.0, 1.0, 0.0)
    one, other = case_metrics(a, b, num_classes=2), case_metrics(b, a, num_classes=2)
    assert one.dice == other.dice
    assert one.hd95 == pytest.approx(other.hd95)
    assert one.surface_dice == pytest.approx(other.surface_dice)
    assert one.iou == pytest.approx(one.dice / (2 - one.dice))


def test_is_fast_enough_for_thousands_of_cases() -> None:
    pairs = [(blob(i), blob(i + 30)) for i in range(6)]
    started = time.process_time()
    for predicted, truth in pairs:
        case_metrics(predicted, truth, num_classes=2)
    # 2 ms a case on one core of a busy machine; the bound only catches a change of order.
    assert (time.process_time() - started) / len(pairs) < 0.02


def test_inputs_are_not_changed() -> None:
    a, b = blob(1), blob(2)
    copies = a.copy(), b.copy()
    case_metrics(a, b, num_classes=2)
    np.testing.assert_array_equal(a, copies[0])
    np.testing.assert_array_equal(b, copies[1])


def test_overlap_of_nothing_is_perfect() -> None:
    assert overlap(0, 0, 0) == (1.0, 1.0)
    assert overlap(8, 16, 16) == (0.5, 8 / 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicted": np.zeros((4, 5), np.uint8)}, r"\(4, 5\) and the true mask \(4, 4\)"),
        ({"predicted": np.zeros((1, 4, 4), np.uint8)}, "one \\(H, W\\) grid"),
        ({"predicted": np.full((4, 4), 2, np.uint8)}, r"prediction holds labels 2..2, expected 0..1"),
        ({"truth": np.full((4, 4), 255, np.uint8)}, r"true mask holds labels 255..255"),
        ({"num_classes": 1}, "background too and must be at least 2, got 1"),
        ({"spacing_mm": (0.0, 1.0)}, "two positive numbers"),
        ({"spacing_mm": (1.0, math.nan)}, "two positive numbers"),
        ({"tolerance": -1.0}, "tolerance must be zero or a positive number"),
    ],
)
def test_impossible_input_is_refused(changes: dict[str, object], message: str) -> None:
    zeros = np.zeros((4, 4), np.uint8)
    arguments = {"predicted": zeros, "truth": zeros, "num_classes": 2} | changes
    predicted, truth = arguments.pop("predicted"), arguments.pop("truth")
    with pytest.raises(UsageError, match=message):
        case_metrics(predicted, truth, **arguments)
