"""Scores of one case: a predicted label map against the true one, on the image's own grid.

Dice and IoU compare areas. HD95 (95th percentile of the Hausdorff distance) and surface Dice (NSD) compare
boundaries; a boundary pixel is a pixel of the mask with at least one of its four neighbours outside it (what
lies beyond the image is outside), as in MONAI's `compute_hausdorff_distance` and `compute_surface_dice`.

Where a class is missing, the rule is the same for every score, and no case is ever dropped:

====================================  ====  ===  ============  ==================
class in prediction and truth         Dice  IoU  surface Dice  HD95
====================================  ====  ===  ============  ==================
in neither                            1     1    1             0
in only one (`one_sided_empty`)       0     0    0             the image's diagonal
====================================  ====  ===  ============  ==================

References:
    Nikolov et al., *Clinically applicable segmentation of head and neck anatomy*, JMIR 2021 (surface Dice).
    Maier-Hein et al., *Metrics reloaded*, Nature Methods 2024 (per-case aggregation, rules for empty masks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from lexiseg.errors import UsageError

#: Boundary error that surface Dice forgives, in millimetres where the spacing is known, else in pixels.
DEFAULT_TOLERANCE = 2.0

#: Names of the four scores, in the order they are reported.
METRICS = ("dice", "iou", "hd95", "surface_dice")

_PERCENTILE = 95.0
# Distances are sums of squares of multiples of the spacing: rounding must not push one over the tolerance.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Scores of one foreground class in one case.

    Attributes:
        predicted_px: Pixels predicted as this class.
        truth_px: Pixels of this class in the true mask.
        intersection_px: Pixels that are both; pooled scores are made from sums of these three.
        dice: In 0..1.
        iou: In 0..1.
        hd95: In millimetres or pixels (see `case_metrics`), 0 is best.
        surface_dice: In 0..1.
        one_sided_empty: The class is in only one of prediction and truth.
    """

    predicted_px: int
    truth_px: int
    intersection_px: int
    dice: float
    iou: float
    hd95: float
    surface_dice: float
    one_sided_empty: bool


@dataclass(frozen=True, kw_only=True)
class CaseScores:
    """Scores of one case: one entry per foreground class, and their plain mean.

    Attributes:
        classes: Scores of labels 1, 2, ... in order.
    """

    classes: tuple[ClassScores, ...]

    @property
    def dice(self) -> float:
        """Mean Dice over the foreground classes."""
        return self._mean("dice")

    @property
    def iou(self) -> float:
        """Mean IoU over the foreground classes."""
        return self._mean("iou")

    @property
    def hd95(self) -> float:
        """Mean HD95 over the foreground classes."""
        return self._mean("hd95")

    @property
    def surface_dice(self) -> float:
        """Mean surface Dice over the foreground classes."""
        return self._mean("surface_dice")

    @property
    def one_sided_empty(self) -> bool:
        """Whether any class is in only one of prediction and truth."""
        return any(scores.one_sided_empty for scores in self.classes)

    def _mean(self, name: str) -> float:
        return float(np.mean([getattr(scores, name) for scores in self.classes]))


def case_metrics(
    predicted: npt.NDArray[np.integer],
    truth: npt.NDArray[np.integer],
    *,
    num_classes: int,
    spacing_mm: tuple[float, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> CaseScores:
    """Score one predicted label map against the true one.

    Args:
        predicted: `(H, W)` labels 0..num_classes-1, 0 is background.
        truth: `(H, W)` labels, the same grid.
        num_classes: Number of labels, background included; at least 2.
        spacing_mm: Distance of pixel centres in millimetres, (between rows, between columns). With it, HD95
            and `tolerance` are in millimetres, without it in pixels.
        tolerance: Boundary error that surface Dice forgives; by default 2 mm (2 pixels without spacing).

    Returns:
        The scores; see the module's docstring for the rule where a class is missing.

    Raises:
        UsageError: Two grids, a label that does not exist, or a spacing or tolerance that is not possible.
    """
    _check(predicted, truth, num_classes, spacing_mm, tolerance)
    rows, columns = truth.shape
    spacing = spacing_mm or (1.0, 1.0)
    diagonal = math.hypot(rows * spacing[0], columns * spacing[1])
    return CaseScores(
        classes=tuple(
            _class_scores(predicted == label, truth == label, spacing, tolerance, diagonal)
            for label in range(1, num_classes)
        )
    )


def overlap(intersection_px: int, predicted_px: int, truth_px: int) -> tuple[float, float]:
    """Return Dice and IoU from pixel counts; both are 1 where both masks are empty.

    Sums over many cases give the pooled scores (sometimes called micro or global).
    """
    total = predicted_px + truth_px
    if total == 0:
        return 1.0, 1.0
    return 2 * intersection_px / total, intersection_px / (total - intersection_px)


def _check(
    predicted: npt.NDArray[np.integer],
    truth: npt.NDArray[np.integer],
    num_classes: int,
    spacing_mm: tuple[float, float] | None,
    tolerance: float,
) -> None:
    if predicted.ndim != 2 or predicted.shape != truth.shape:
        raise UsageError(
            f"Scores need two label maps of one (H, W) grid, but the prediction is {predicted.shape} and the "
            f"true mask {truth.shape}. Predict on the image that the mask was drawn on.",
            code="LEX-USE-083",
        )
    if num_classes < 2:
        raise UsageError(
            f"num_classes counts the background too and must be at least 2, got {num_classes}.",
            code="LEX-USE-084",
        )
    for name, labels in (("prediction", predicted), ("true mask", truth)):
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
            raise UsageError(
                f"The {name} holds labels {int(labels.min())}..{int(labels.max())}, "
                f"expected 0..{num_classes - 1}.",
                code="LEX-USE-085",
            )
    if spacing_mm is not None and not all(math.isfinite(step) and step > 0 for step in spacing_mm):
        raise UsageError(
            f"spacing_mm must be two positive numbers (rows, columns), got {spacing_mm}.", code="LEX-USE-086"
        )
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise UsageError(f"tolerance must be zero or a positive number, got {tolerance}.", code="LEX-USE-087")


def _class_scores(
    predicted: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    spacing: tuple[float, float],
    tolerance: float,
    diagonal: float,
) -> ClassScores:
    predicted_px, truth_px = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    intersection_px = int(np.count_nonzero(predicted & truth))
    one_sided = (predicted_px == 0) != (truth_px == 0)
    if one_sided:
        hd95, surface_dice = diagonal, 0.0
    elif truth_px == 0:
        hd95, surface_dice = 0.0, 1.0
    else:
        hd95, surface_dice = _boundary_scores(predicted, truth, spacing, tolerance)
    dice, iou = overlap(intersection_px, predicted_px, truth_px)
    return ClassScores(
        predicted_px=predicted_px,
        truth_px=truth_px,
        intersection_px=intersection_px,
        dice=dice,
        iou=iou,
        hd95=hd95,
        surface_dice=surface_dice,
        one_sided_empty=one_sided,
    )


def _boundary_scores(
    predicted: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    spacing: tuple[float, float],
    tolerance: float,
) -> tuple[float, float]:
    """Return HD95 and surface Dice of two masks that are not empty.

    A k-d tree over the boundary pixels is exact, and its time grows with the boundaries, not with the image.
    """
    ours, theirs = _boundary(predicted) * spacing, _boundary(truth) * spacing
    to_truth = cKDTree(theirs).query(ours)[0]
    to_predicted = cKDTree(ours).query(theirs)[0]
    hd95 = max(np.percentile(to_truth, _PERCENTILE), np.percentile(to_predicted, _PERCENTILE))
    reach = tolerance * (1 + _ROUNDING)
    within = np.count_nonzero(to_truth <= reach) + np.count_nonzero(to_predicted <= reach)
    return float(hd95), float(within / (to_truth.size + to_predicted.size))


def _boundary(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return `(N, 2)` row and column of each boundary pixel of a `(H, W)` mask."""
    padded = np.pad(mask, 1)
    interior = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~interior)
