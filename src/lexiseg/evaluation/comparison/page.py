"""`comparison.html`: one self-contained file with the differences between two runs, case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pandas as pd

from lexiseg.evaluation.comparison.change_figures import CaseChange
from lexiseg.evaluation.comparison.comparison_file import Comparison, GroupDifference
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.captions import size_caption
from lexiseg.evaluation.report.case_rows import MOST_ROWS
from lexiseg.evaluation.report.interval_axis import axis_to
from lexiseg.evaluation.scores.case_table import ALL
from lexiseg.evaluation.scores.cases import TERCILES
from lexiseg.evaluation.scores.metrics_file import SizeStratum
from lexiseg.html_template import html_template, page_script
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
from lexiseg.printable import counted

#: Chance of calling a difference clear where there is none.
ALPHA = 0.05

#: What a difference shows: "gain": a is better; "harm": b is better; "none": it is not clear.
Clear = Literal["gain", "harm", "none"]


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A row of the table of cases.

    Attributes:
        id: The case.
        anchor: Id of its pictures in the page; None where the page shows none.
        size: Its size group.
        share: Share of the image that is lesion, 0..1.
        a: Dice of run a, 0..1.
        b: Dice of run b, 0..1.
    """

    id: str
    anchor: str | None
    size: str
    share: float
    a: float
    b: float


def build_comparison(
    comparison: Comparison,
    cases: tuple[pd.DataFrame, pd.DataFrame],
    *,
    by_size: Sequence[SizeStratum],
    changes: Sequence[CaseChange],
    command: str,
) -> str:
    """Return the page as HTML: no requests, and one script, for its tables; it links to the two reports.

    Args:
        comparison: The content of `comparison.json`.
        cases: The cases of run a and of run b, as `read_cases` returns them, in one order.
        by_size: The size strata of the cases.
        changes: Cases in pictures.
        command: The command line that does the same.
    """
    filters: dict[str, Callable[..., Any]] = {
        "signed": lambda value: f"{value:+.4f}",
        "score": lambda value: f"{value:.4f}",
        "p": p_value,
        "span": lambda ends: "no interval" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}",
        "clear": clear,
        "report": lambda name: f"{quote(name)}/report.html",
    }
    whole, *strata = comparison.groups
    differences = (cases[0]["dice"] - cases[1]["dice"]).to_numpy(dtype=np.float64)
    anchors = {change.id: f"case-{number}" for number, change in enumerate(changes)}
    return html_template("lexiseg.evaluation.comparison", "comparison.html.j2", filters).render(
        c=comparison,
        findings=comparison_findings(comparison),
        whole=whole,
        strata=strata,
        axis=axis_to(end for group in comparison.groups for end in (*(group.ci95 or ()), group.mean)),
        alpha=ALPHA,
        changes=changes,
        anchors=anchors,
        rows=_rows(cases, anchors),
        most_rows=MOST_ROWS,
        spread=figures.difference_distribution(differences),
        over_size=figures.size_against_difference(
            cases[1]["truth_share"].to_numpy(dtype=np.float64),
            differences,
            cuts=figures.tercile_cuts_of(by_size),
            means=_tercile_means(strata),
        ),
        size_caption=size_caption({stratum.tercile: stratum.n for stratum in by_size}),
        command=command,
        script=page_script("case_table.js"),
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
    )


def clear(difference: GroupDifference) -> Clear:
    """Return which run is better: its interval does not hold 0, and p after Holm is below `ALPHA`."""
    if difference.ci95 is None or difference.p_holm >= ALPHA:
        return "none"
    low, high = difference.ci95
    return "gain" if low > 0 else "harm" if high < 0 else "none"


def comparison_findings(comparison: Comparison) -> tuple[str, str, str]:
    """Return both scores, their difference, and in how many cases each run is better, as three sentences.

    Args:
        comparison: The content of `comparison.json`.
    """
    whole = comparison.groups[0]
    same = "the same case" if whole.n == 1 else f"the same {whole.n:,} cases"
    level = f"On {same}, the mean Dice of A is {whole.mean_a:.4f}, that of B is {whole.mean_b:.4f}."
    return level, _difference(whole), _counts(whole)


def _difference(whole: GroupDifference) -> str:
    if whole.ci95 is None:
        return f"The difference A - B is {whole.mean:+.4f}; a single patient or case tells nothing of others."
    low, high = whole.ci95
    better = {"gain": "A is better", "harm": "B is better", "none": "there is no clear difference"}
    return (
        f"The mean difference A - B is {whole.mean:+.4f} (95 % interval: {low:+.4f} to {high:+.4f}; Wilcoxon "
        f"{_p_is(whole.p_value)}): {better[clear(whole)]}."
    )


def _counts(whole: GroupDifference) -> str:
    if whole.equal == whole.n:
        return "Every case has the same Dice with both runs." if whole.n > 1 else "Both Dice are equal."
    equal = f", and {counted(whole.equal, 'case is', 'cases are')} equal" if whole.equal else ""
    return f"A is better in {counted(whole.better, 'case')}, B in {counted(whole.worse, 'case')}{equal}."


def p_value(value: float) -> str:
    """Return a p-value as pages show it."""
    return "below 0.0001" if value < 0.0001 else f"{value:.4f}"


def _p_is(value: float) -> str:
    return f"p {p_value(value)}" if value < 0.0001 else f"p = {p_value(value)}"


def _tercile_means(strata: Sequence[GroupDifference]) -> dict[str, float]:
    means = {group.group: group.mean for group in strata if group.group != ALL}
    return {name: means[f"{name} lesions"] for name in TERCILES if f"{name} lesions" in means}


def _rows(cases: tuple[pd.DataFrame, pd.DataFrame], anchors: Mapping[str, str]) -> list[ComparisonRow]:
    """Return the rows of the table, largest difference first, at most `MOST_ROWS`."""
    a, b = cases
    rows = [
        ComparisonRow(
            id=str(case), anchor=anchors.get(str(case)), size=str(size), share=share, a=dice_a, b=dice_b
        )
        for case, size, share, dice_a, dice_b in zip(
            b.index, b["tercile"], b["truth_share"], a["dice"], b["dice"], strict=True
        )
    ]
    return sorted(rows, key=lambda row: (-abs(row.a - row.b), row.id))[:MOST_ROWS]
