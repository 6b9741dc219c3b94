"""The table of all cases in the report, which links to the cases that the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexiseg.evaluation.report.case_figures import CaseFigure
from lexiseg.evaluation.scores.cases import ScoredCase

#: Most cases in the table; a browser sorts as many at once.
MOST_ROWS = 2000


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case in the table.

    Attributes:
        case: The case.
        anchor: Id of its picture in the report; None where the report shows none.
        predicted_share: Share of the image that the predicted foreground covers, 0..1.
    """

    case: ScoredCase
    anchor: str | None
    predicted_share: float


def case_anchors(shown: Mapping[str, Sequence[CaseFigure]]) -> dict[str, str]:
    """Return an id for the first picture of each case that the report shows, by the id of the case."""
    ids = dict.fromkeys(figure.case.sample.id for group in shown.values() for figure in group)
    return {name: f"case-{number}" for number, name in enumerate(ids)}


def case_rows(cases: Sequence[ScoredCase], anchors: Mapping[str, str]) -> list[CaseRow]:
    """Return the rows, lowest Dice first, at most `MOST_ROWS`."""
    ranked = sorted(cases, key=lambda case: (case.scores.dice, case.sample.id))[:MOST_ROWS]
    return [
        CaseRow(
            case=case,
            anchor=anchors.get(case.sample.id),
            predicted_share=case.predicted_px / case.image_px,
        )
        for case in ranked
    ]
