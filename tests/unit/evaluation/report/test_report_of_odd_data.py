"""The report of odd data: no lesion, one case, several classes, no words, no calibration, all flagged.

No sentence of the page may be false of its data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from html_page import Page
from lexiseg.data import Sample
from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.case_figures import CaseFigure, choose_cases
from lexiseg.evaluation.report.page import build_report
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics import case_metrics
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.evaluation.scores.summary import summarise
from lexiseg.models.spec import NetworkSpec

CLASSES = ("background", "lesion", "nodule")


@pytest.fixture(autouse=True, scope="module")
def _no_pictures() -> Iterator[None]:
    """Leave out the writing of figures, which costs most of the time; test_report.py looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_svg_uri", lambda figure: "data:image/svg+xml;base64,")
        yield


def case(
    number: int, truth_px: int, predicted_px: int, *, classes: int = 1, flagged: bool = False,
    agreement: float | None = None, expected: float | None = None, patient: str | None = None,
) -> ScoredCase:  # fmt: skip
    """Return a case of 10 x 20 pixels whose masks begin at the same corner."""
    truth, predicted = np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8)
    truth.flat[:truth_px] = 1
    predicted.flat[:predicted_px] = classes
    return ScoredCase(
        sample=Sample(
            id=f"c{number}", image=Path(f"c{number}.png"), mask=None, split="test", patient=patient
        ),
        scores=case_metrics(predicted, truth, num_classes=classes + 1),
        image_px=truth.size,
        lesions=int(truth_px > 0),
        retrieved=(),
        confidence=(),
        reference=(),
        agreement=agreement,
        flagged=flagged,
        expected_dice=expected,
    )


def metrics_of(cases: Sequence[ScoredCase], *, temperature: float | None = None) -> Metrics:
    classes = len(cases[0].scores.classes)
    summary = summarise(cases, class_names=CLASSES[: classes + 1], seed=0)
    manifest = {
        "lexiseg_version": "0.2.0", "created": "2026-11-22T00:00:00+00:00", "image_size": 64,
        "network": NetworkSpec().model_dump(), "mean": [0.5] * 3, "std": [0.25] * 3, "text": "none",
        "class_names": CLASSES[: classes + 1], "side": "image",
    }  # fmt: skip
    return Metrics.model_validate(
        summary.model_dump()
        | {
            "split": "test", "units": "px", "tolerance": 2.0, "class_names": CLASSES[: classes + 1],
            "side": "image", "reference_words": None, "retrieval": {}, "in_sample": None, "failed": [],
            "calibration": {
                "ece": 0.25, "temperature": temperature, "signals": None if temperature is None else {},
                "pixels": 4, "bins": [{"range": [0, 1], "pixels": 4, "probability": 0.25, "lesion": 0.5}],
            },
            "run": {"folder": "run", "manifest": manifest},
            "data": {
                "folder": "data", "name": "data", "layout": "folders", "split": "test", "samples": len(cases),
                "ids_sha256": "0", "assumptions": [],
            },
            "execution": {
                "command": "lexiseg evaluate", "flip_average": False, "average_with": [], "seed": 0,
                "resamples": 2000, "date": "2026-11-22", "seconds": 1.0, "versions": {}, "machine": "x",
            },
        }
    )  # fmt: skip


def report_of(cases: Sequence[ScoredCase], *, temperature: float | None = None) -> Page:
    shown = {
        title: [
            CaseFigure(case=c, uri="data:,", alt=f"Image {c.sample.id}", words=(), reasons=()) for c in group
        ]
        for title, group in choose_cases(cases).items()
    }
    return Page(build_report(metrics_of(cases, temperature=temperature), cases, shown))


def check(page: Page, cases: Sequence[ScoredCase]) -> None:
    """Check every statement of the page that depends on the data."""
    text = page.text
    dice = [c.scores.dice for c in cases]
    lesions = [c for c in cases if c.truth_px]
    assert not re.search(r"\bnan\b|\bNone\b(?!:)|\{\{|\{%|\b1 (cases|images|known patients)\b", text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(link["href"] or "")[1:] for link in page.all("a")}
    assert targets <= set(ids)
    low = sum(value < 0.5 for value in dice)
    assert ("No case has a Dice below 0.5." in text) == (low == 0)
    assert ("Every case has a Dice below 0.5." in text) == (low == len(dice))
    assert ("on the left, which the mean does not show" in text) == (0 < low < len(dice))
    assert ("No case has a lesion, so there is no figure by lesion size." in text) == (not lesions)
    assert ("Each point is one case with a lesion." in text) == bool(lesions)
    several = len(cases) > 1
    equal = min(dice) == max(dice)
    assert ("Best by Dice" in text) == ("Worst by Dice" in text) == (several and not equal)
    assert ("The only case" in text) == (not several)
    assert ("all with the same Dice" in text) == (several and equal)
    intervals = len({c.sample.patient or c.sample.id for c in cases}) > 1
    assert ("Intervals: bootstrap over" in text) == intervals
    assert ("There are no intervals" in text) == (not intervals)
    for words in ("differs in", "Why the two differ", "hardly differ here"):
        assert several or words not in text


CASES = st.lists(
    st.tuples(st.sampled_from([0, 1, 40, 200]), st.sampled_from([0, 30, 200]), st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(drawn=CASES, classes=st.integers(1, 2), words=st.booleans(), calibrated=st.booleans())
@example(drawn=[(0, 0, False)], classes=1, words=False, calibrated=False)
@example(drawn=[(0, 30, True), (0, 0, True)], classes=2, words=True, calibrated=True)
@example(drawn=[(40, 30, True)] * 3, classes=1, words=True, calibrated=False)
def test_no_sentence_is_false(
    drawn: list[tuple[int, int, bool]], classes: int, words: bool, calibrated: bool
) -> None:
    cases = [
        case(
            number, truth, predicted, classes=classes, flagged=flagged and words,
            agreement=0.5 if words else None, expected=0.5 if words and calibrated else None,
        )
        for number, (truth, predicted, flagged) in enumerate(drawn)
    ]  # fmt: skip
    page = report_of(cases, temperature=1.5 if calibrated else None)
    check(page, cases)
    flags = sum(c.flagged for c in cases)
    assert ("This run cannot flag cases for review." in page.text) == (not words)
    assert ("The review flag marks no case." in page.text) == (words and flags == 0)
    marks_all = re.search(r"The review flag marks (the only case|all \d cases)\.", page.text)
    assert bool(marks_all) == (words and flags == len(cases))


def test_one_patient_gives_no_interval() -> None:
    cases = [case(number, 40, 30 + number, patient="p") for number in range(3)]
    page = report_of(cases)
    check(page, cases)
    assert "of 1 known patient," in page.text
    assert "because one patient does not show how much patients differ" in page.text


def test_groups_that_hardly_differ_are_folded() -> None:
    near = [case(0, 40, 40), case(1, 40, 40), case(2, 0, 0)]
    assert "Lesions in the image: the mean Dice hardly changes (1.000 to 1.000)" in report_of(near).text
    assert 'Lesions in the image: all 2 cases are in the group "one"' in report_of(near[:2]).text
    far = [*near[:2], case(2, 0, 30)]
    page = report_of(far)
    assert "hardly changes" not in page.text
    assert "Lesions in the image" in page.text


def test_dashed_lines_are_named_only_where_they_are_drawn() -> None:
    lines = "Dashed lines separate small, medium and large lesions"
    assert lines in report_of([case(number, 20 * number, 30) for number in range(1, 7)]).text
    assert lines not in report_of([case(0, 20, 30), case(1, 0, 30)]).text


def test_flags_of_unlike_images_are_told_where_there_are_some() -> None:
    cases = [case(number, 40, 30, agreement=1.0) for number in range(2)]
    same = [replace(c, unlike=False) for c in cases]
    assert "No image is unlike the training images." in report_of(same).text
    odd = [replace(cases[0], unlike=True, flagged=True), same[1]]
    assert "Images that are unlike the training images: 1." in report_of(odd).text
