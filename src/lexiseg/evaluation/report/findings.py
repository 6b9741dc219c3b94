"""The finding of an evaluation in three sentences, for the first screen of the report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics_file import Metrics, ReviewMetrics
from lexiseg.printable import counted


def findings(metrics: Metrics, cases: Sequence[ScoredCase]) -> tuple[str, str, str]:
    """Return how good the masks are, how much the cases differ, and what the review flag finds.

    Args:
        metrics: The content of `metrics.json`.
        cases: The scored cases, at least one.
    """
    return _level(metrics, cases), _spread([case.scores.dice for case in cases]), _flag(metrics.review)


def _level(metrics: Metrics, cases: Sequence[ScoredCase]) -> str:
    interval = metrics.dice.ci95
    ends = "" if interval is None else f" (95 % interval: {interval[0]:.3f} to {interval[1]:.3f})"
    level = f"The mean Dice of {counted(metrics.num_cases, 'case')} is {metrics.dice.mean:.3f}{ends}"
    if any(case.truth_px for case in cases):
        return f"{level}."
    empty = sum(case.predicted_px == 0 for case in cases)
    return f"{level}; no case has a lesion (empty predictions: {empty:,} of {len(cases):,})."


def _spread(dice: Sequence[float]) -> str:
    if len(dice) == 1:
        return "One case does not show how much cases differ."
    if min(dice) == max(dice):
        return f"Every case has a Dice of {dice[0]:.3f}."
    failed = sum(value == 0 for value in dice)
    zero = f"; {counted(failed, 'case has', 'cases have')} a Dice of 0" if failed else ""
    return f"The median is {median(dice):.3f}, the lowest {min(dice):.3f}, the highest {max(dice):.3f}{zero}."


def _flag(review: ReviewMetrics | None) -> str:
    if review is None:
        return "This run cannot flag cases for review."
    if review.dice_flagged is None:
        return "The review flag marks no case."
    if review.dice_rest is None:
        return f"The review flag marks {'the only case' if review.n == 1 else f'all {review.n:,} cases'}."
    their = "its" if review.n == 1 else "their mean"
    return (
        f"The review flag marks {counted(review.n, 'case')}: {their} Dice is "
        f"{review.dice_flagged.mean:.3f}, the mean of the others {review.dice_rest.mean:.3f}."
    )
