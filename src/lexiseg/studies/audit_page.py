"""`audit.html`: one self-contained file with verdict, figures, and how they were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexiseg.evaluation.comparison.change_figures import CaseChange
from lexiseg.evaluation.comparison.page import p_value
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.captions import size_caption
from lexiseg.evaluation.report.case_rows import MOST_ROWS
from lexiseg.evaluation.report.interval_axis import Axis, axis_to
from lexiseg.evaluation.scores.case_table import ALL
from lexiseg.evaluation.scores.cases import TERCILES
from lexiseg.html_template import html_template, page_script
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
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
from lexiseg.studies.audit_findings import audit_findings, key_figures
from lexiseg.systems.registry import get
from lexiseg.words.description import SIDE_NOTES, names_sides


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


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A row of the table of cases.

    Attributes:
        id: The case.
        anchor: Id of its pictures in the page; None where the page shows none.
        share: Share of the image that is lesion, 0..1.
        differences: Difference in Dice by pair of arms, in the order of the pairs.
    """

    id: str
    anchor: str | None
    share: float
    differences: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AuditPictures:
    """Cases in pictures, under the first seed of two arms.

    Attributes:
        pair: The two arms.
        cases: The cases.
    """

    pair: PairDifferences
    cases: tuple[CaseChange, ...]


def build_page(result: AuditResult, changes: AuditPictures | None = None) -> str:
    """Return the page as HTML: no requests, and one script, for its tables; it links to the arms' reports.

    Args:
        result: The content of `audit.json`.
        changes: Cases in pictures; None for a page without.
    """
    # Words can be shuffled that no arm of the audit learns unshuffled: they have a title too.
    titles = {arm.name: arm.shown for arm in ARM_TABLE} | {arm.arm: arm.title for arm in result.arms}
    filters: dict[str, Callable[..., Any]] = {
        "signed": lambda value: f"{value:+.4f}",
        "score": lambda value: f"{value:.4f}",
        "percent": lambda value: "not known" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%",
        "p": p_value,
        "span": _span,
        "arm": titles.__getitem__,
        "model": lambda name: get(name).title,
        "capital": lambda text: text[:1].upper() + text[1:],
    }
    whole = [c for c in result.comparisons if c.group == ALL]
    strata = [c for c in result.comparisons if c.group != ALL]
    anchors = {change.id: f"case-{number}" for number, change in enumerate(changes.cases if changes else ())}
    return html_template("lexiseg.studies", "audit.html.j2", filters).render(
        a=result,
        whole=whole,
        strata={group: [c for c in strata if c.group == group] for group in _in_order(strata)},
        whole_axis=axis_of(whole),
        strata_axis=axis_of(strata),
        findings=audit_findings(result),
        key_figures=key_figures(result),
        changes=changes,
        anchors=anchors,
        rows=_rows(result, anchors),
        most_rows=MOST_ROWS,
        script=page_script("case_table.js"),
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
        has_all_sizes=_has_all_sizes(result),
        size_caption=size_caption({tercile.name: tercile.n for tercile in result.cases.terciles}),
        over="patients" if result.cases.patients else "images",
        case_by_case=_difference_figures(result),
        first_trainings=[_first_training(arm) for arm in result.arms],
        budget=_budget(result.settings.training),
        uneven=_uneven(result.arms),
        further=_further_arms(result.arms),
    )


def axis_of(comparisons: Sequence[ArmComparison]) -> Axis:
    """Return an axis that holds every interval, with a round end."""
    return axis_to(end for c in comparisons for end in (*(c.ci95 or c.ci95_trained or ()), c.mean))


def _difference_figures(result: AuditResult) -> list[DifferenceFigures]:
    found = result.differences
    shares = np.array(found.sizes)
    cuts = [size.share[1] for size in result.cases.terciles[:2]] if _has_all_sizes(result) else []
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


def _rows(result: AuditResult, anchors: Mapping[str, str]) -> list[AuditRow]:
    """Return the rows of the table, largest difference first, at most `MOST_ROWS`."""
    found = result.differences
    if not found.pairs:
        return []
    by_case = zip(*(pair.values for pair in found.pairs), strict=True)
    rows = [
        AuditRow(id=case, anchor=anchors.get(case), share=share, differences=values)
        for case, share, values in zip(found.ids, found.sizes, by_case, strict=True)
    ]
    return sorted(rows, key=lambda row: (-max(map(abs, row.differences)), row.id))[:MOST_ROWS]


def _has_all_sizes(result: AuditResult) -> bool:
    """Return whether there are small, medium and large lesions."""
    return all(size.n for size in result.cases.terciles[: len(TERCILES)])


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
