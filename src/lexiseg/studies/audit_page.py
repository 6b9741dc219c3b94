"""`audit.html`: one self-contained file with verdict, figures, and how they were made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexiseg.evaluation import figures
from lexiseg.evaluation.cases import TERCILES
from lexiseg.evaluation.tables import ALL
from lexiseg.html_template import html_template
from lexiseg.printable import counted
from lexiseg.studies.arms import ARM_TABLE
from lexiseg.studies.audit_file import (
    ArmComparison,
    ArmSummary,
    AuditResult,
    JudgedComparison,
    PairDifferences,
    SharedTraining,
)
from lexiseg.studies.verdict import ALPHA
from lexiseg.systems.registry import get
from lexiseg.words.description import SIDE_NOTES, names_sides

_WIDTH = 300.0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The common axis of all drawn intervals: differences in Dice, symmetric about 0.

    Attributes:
        reach: Its right end; the left end is `-reach`.
    """

    reach: float

    def x(self, value: float) -> float:
        """Return a difference's place in a drawing 300 wide, kept inside it."""
        inside = min(max(value, -self.reach), self.reach)
        return round((inside / self.reach + 1) * _WIDTH / 2, 2)


@dataclass(frozen=True, kw_only=True)
class DifferenceFigures:
    """The figures of one entry of `differences` in `audit.json`.

    Attributes:
        entry: The entry.
        spread: The distribution of the differences.
        over_size: The differences over the lesions' sizes; None if no case has a lesion.
    """

    entry: PairDifferences
    spread: figures.Picture
    over_size: figures.Picture | None


@dataclass(frozen=True, kw_only=True)
class FirstTrainingFigures:
    """The figures of the first training of an arm.

    Attributes:
        arm: The arm's entry in `audit.json`.
        calibration: Its reliability diagram.
        confusions: Per factor what was retrieved for each reference phrase.
        side_note: Whose left "left" means.
        sided: Whether any of its words speak of left or right.
    """

    arm: ArmSummary
    calibration: figures.Picture
    confusions: dict[str, figures.Picture]
    side_note: str
    sided: bool


def build_page(result: AuditResult) -> str:
    """Return the page as HTML: no scripts, no requests; it links to the arms' own reports below it.

    Args:
        result: The content of `audit.json`.
    """
    filters: dict[str, Callable[..., Any]] = {
        "signed": lambda value: f"{value:+.4f}",
        "score": lambda value: f"{value:.4f}",
        "percent": lambda value: "not known" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%",
        "p": lambda value: "below 0.0001" if value < 0.0001 else f"{value:.4f}",
        "span": _span,
        "arm": {arm.arm: arm.title for arm in result.arms}.__getitem__,
        "model": lambda name: get(name).title,
        "capital": lambda text: text[:1].upper() + text[1:],
    }
    whole = [c for c in result.comparisons if c.group == ALL]
    strata = [c for c in result.comparisons if c.group != ALL]
    return html_template("lexiseg.studies", "audit.html.j2", filters).render(
        a=result,
        whole=whole,
        strata={group: [c for c in strata if c.group == group] for group in _in_order(strata)},
        whole_axis=axis_of(whole),
        strata_axis=axis_of(strata),
        alpha=ALPHA,
        over="patients" if result.cases.patients else "images",
        case_by_case=_difference_figures(result),
        first_trainings=[_first_training(arm) for arm in result.arms],
        budget=_budget(result.settings.training),
        uneven=_uneven(result.arms),
        further=_further_arms(result.arms),
    )


def axis_of(comparisons: Sequence[ArmComparison]) -> Axis:
    """Return an axis that holds every interval, with a round end."""
    ends = [abs(end) for c in comparisons for end in (*(c.ci95 or c.ci95_trained), c.mean)]
    longest = max([*ends, 0.001])
    steps = [factor * 10.0**power for power in range(-3, 1) for factor in (1, 2, 3, 4, 5, 6, 8)]
    return Axis(reach=next((step for step in steps if step >= longest), 1.0))


def _difference_figures(result: AuditResult) -> list[DifferenceFigures]:
    found = result.differences
    shares = np.array(found.sizes)
    cuts = [size.share[1] for size in result.cases.terciles[:2]]
    return [
        DifferenceFigures(
            entry=entry,
            spread=figures.difference_distribution(np.array(entry.values)),
            over_size=figures.size_against_difference(
                shares, np.array(entry.values), cuts=cuts, means=_tercile_means(result, entry)
            ),
        )
        for entry in found.pairs
    ]


def _tercile_means(result: AuditResult, entry: PairDifferences) -> dict[str, float]:
    """Return the mean difference of each tercile that has cases, from the comparisons."""
    pair = (entry.model, entry.arm, entry.against)
    means = {c.group: c.mean for c in result.comparisons if (c.model, c.arm, c.against) == pair}
    return {name: means[f"{name} lesions"] for name in TERCILES if f"{name} lesions" in means}


def _first_training(arm: ArmSummary) -> FirstTrainingFigures:
    first = arm.first_seed
    return FirstTrainingFigures(
        arm=arm,
        calibration=figures.reliability(first.calibration),
        confusions={name: figures.confusion(scores) for name, scores in first.confusions.items()},
        side_note=SIDE_NOTES[first.side],
        sided=names_sides(
            text for scores in first.confusions.values() for text in (scores.title, *scores.phrases)
        ),
    )


def _in_order(strata: Sequence[JudgedComparison]) -> list[str]:
    return list(dict.fromkeys(c.group for c in strata))


def _span(interval: Sequence[float] | None, sign: bool = True) -> str:
    if interval is None:
        return "not known"
    return " to ".join(f"{end:+.4f}" if sign else f"{end:.4f}" for end in interval)


def _budget(training: SharedTraining) -> str:
    if training.epochs is not None:
        return f"{training.epochs} passes over the training images, the same steps in every arm"
    if training.steps is not None:
        return f"{counted(training.steps, 'step')} in every arm"
    if training.max_minutes is not None:
        return f"{training.max_minutes:g} min of wall-clock time per arm"
    return "the same number of steps in every arm"


def _uneven(arms: Sequence[ArmSummary]) -> bool:
    """Return whether trainings of one audit took different numbers of steps."""
    return len({steps for arm in arms for steps in arm.steps}) > 1


def _further_arms(arms: Sequence[ArmSummary]) -> dict[str, str]:
    """Return the arms that do not come with Lexiseg: title to the fields that they change."""
    own = {spec.name for spec in ARM_TABLE}
    return {
        arm.title: ", ".join(f"{field}: {value}" for field, value in arm.changes.items())
        for arm in arms
        if arm.arm not in own
    }
