"""The finding of an evaluation in three sentences, for the first screen of the report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from lexiseg.evaluation.cases import ScoredCase
from lexiseg.evaluation.metrics_file import Metrics
from lexiseg.printable import counted


def findings(metrics: Metrics, cases: Sequence[ScoredCase]) -> tuple[str, str, str]:
    """Return how good the masks are, how much the cases differ, and what the review flag finds.

    Args:
        metrics: The content of `metrics.json`.
        cases: The scored cases, at least one.
    """
    return _level(metrics), _spread([case.scores.dice for case in cases]), _flag(metrics)


def _level(metrics: Metrics) -> str:
    interval = metrics.dice.ci95
    ends = "" if interval is None else f" (95 % interval: {interval[0]:.3f} to {interval[1]:.3f})"
    return f"The mean Dice of {_cases(metrics.num_cases)} is {metrics.dice.mean:.3f}{ends}."


def _spread(dice: Sequence[float]) -> str:
    failed = sum(value == 0 for value in dice)
    zero = f"; {_cases(failed)} {'has' if failed == 1 else 'have'} a Dice of 0" if failed else ""
    return f"The median is {median(dice):.3f}, the lowest {min(dice):.3f}, the highest {max(dice):.3f}{zero}."


def _flag(metrics: Metrics) -> str:
    review = metrics.review
    if review is None:
        return "This run cannot flag cases for review."
    if review.dice_flagged is None:
        return "The review flag marks no case."
    marked = f"The review flag marks {_cases(review.n)}"
    if review.dice_rest is None:
        return f"{marked}, which are all."
    return (
        f"{marked}: their mean Dice is {review.dice_flagged.mean:.3f}, that of the others "
        f"{review.dice_rest.mean:.3f}."
    )


def _cases(number: int) -> str:
    return counted(number, "case")
