"""`suspicions.html`: one self-contained page with the most suspicious cases of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.readers import read_image_with_facts, read_labels
from lexiseg.evaluation.report.case_picture import case_picture
from lexiseg.evaluation.report.case_rows import MOST_ROWS
from lexiseg.evaluation.suspicions.signs import KINDS
from lexiseg.evaluation.suspicions.suspicion_file import Suspicion, Suspicions
from lexiseg.html_template import html_template, page_script
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
from lexiseg.inference.result import Prediction
from lexiseg.printable import counted
from lexiseg.words.description import SIDE_NOTES, names_sides

#: At most this many cases are shown.
MOST_SHOWN = 50

# A score of 1 is what a tenth of the cases exceeds; twice as much stands out.
_HIGH = 2.0
_LONGEST_SIDE = 320


@dataclass(frozen=True, kw_only=True)
class SuspicionPictures:
    """One case of the page.

    Attributes:
        case: The case.
        plain: The image as a data URI.
        outlined: The image with the outlines of mask and prediction as a data URI.
        words: Rows of the table of words: title of the factor, phrase of the report, of the run and of the
            mask; a phrase that is not known is None.
    """

    case: Suspicion
    plain: str
    outlined: str
    words: tuple[tuple[str, str | None, str | None, str | None], ...]


def build_page(found: Suspicions, drawn: Mapping[str, tuple[Sample, Prediction]], index: DatasetIndex) -> str:
    """Return the page as HTML: no other files, no requests, and one script, for its table.

    Args:
        found: The ranked cases.
        drawn: Sample and prediction of the cases to show, by id.
        index: The data set.
    """
    shown = [_shown(case, *drawn[case.id], index) for case in found.cases if case.id in drawn]
    sided = names_sides(
        text for item in shown for row in item.words for text in row if text is not None
    )  # fmt: skip
    return html_template("lexiseg.evaluation.suspicions", "suspicions.html.j2", {}).render(
        found=found,
        findings=suspicion_findings(found),
        kinds=_kinds(found),
        high=_HIGH,
        shown=shown,
        anchors={item.case.id: f"case-{item.case.rank}" for item in shown},
        rows=found.cases[:MOST_ROWS],
        script=page_script("case_table.js"),
        side_note=SIDE_NOTES[found.side] if found.side is not None and sided else None,
        predicted_colour=PREDICTED_COLOUR,
        truth_colour=TRUTH_COLOUR,
    )


def suspicion_findings(found: Suspicions) -> tuple[str, str, str]:
    """Return what was checked, what looks wrong most often, and the most suspicious case, as three sentences.

    Args:
        found: The ranked cases.
    """
    if not found.cases:
        return (
            "No case was checked.",
            "So nothing is known of the masks and reports.",
            f"Not checked: {counted(found.left_out + found.nothing_to_check + len(found.failed), 'case')}.",
        )
    first = found.cases[0]
    high = [case for case in found.cases if case.score >= _HIGH]
    stand_out = (
        f"{counted(len(high), 'case has', 'cases have')} a score of {_HIGH:g} or more"
        if high
        else f"No case has a score of {_HIGH:g} or more"
    )
    kinds = Counter(case.kind for case in high)
    named = ", ".join(f"{kind}: {number}" for kind, number in kinds.most_common())
    return (
        f"{counted(found.checked, 'case was', 'cases were')} checked.",
        f"{stand_out}{f' (by the error with the largest score: {named})' if named else ''}.",
        f"The most suspicious case is {first.id}: {first.kind}, score {first.shown_score}.",
    )


def _kinds(found: Suspicions) -> dict[str, int]:
    """Return for each error that was looked for how many cases have a high score, the largest, for it."""
    counts = Counter(case.kind for case in found.cases if case.score >= _HIGH)
    looked_for = {kind for case in found.cases for kind in case.scores}
    return {kind: counts[kind] for kind in KINDS if kind in looked_for}


def _shown(case: Suspicion, sample: Sample, prediction: Prediction, index: DatasetIndex) -> SuspicionPictures:
    image = read_image_with_facts(sample.image)
    given = None if sample.mask is None else read_labels(sample, index.coding)
    nothing = np.zeros(image.pixels.shape[:2], np.uint8)
    return SuspicionPictures(
        case=case,
        plain=case_picture(image, nothing, longest_side=_LONGEST_SIDE),
        outlined=case_picture(image, prediction.mask, given, longest_side=_LONGEST_SIDE),
        words=tuple(
            (word.title, case.told.get(word.factor), word.phrase, case.measured.get(word.factor))
            for word in prediction.words
        ),
    )
