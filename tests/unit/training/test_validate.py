from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lexiseg.data.readers import read_mask
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError
from lexiseg.inference.reliability.review import REVIEW_SHARE
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run
from lexiseg.training.validate import counting_lines, model_card, review_threshold, validate_run
from refusals import refuses


@pytest.mark.parametrize(
    ("agreements", "threshold"),
    [
        ([0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1, 1, 1], 0.5),  # 0.75 would flag three of ten
        ([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1], 0.75),  # two of ten are flagged
        ([1, 1, 1], 1),  # nothing lies below
        ([0, 0, 0, 0, 1], 0),
        ([0.5], 0.5),
    ],
)
def test_at_most_a_fifth_is_flagged(agreements: list[float], threshold: float) -> None:
    found = review_threshold(np.array(agreements))
    assert found == threshold
    assert (np.array(agreements) < found).mean() <= REVIEW_SHARE


class Told:
    """Predicts the true mask, or nothing, with a given agreement."""

    def __init__(self, index: DatasetIndex, told: list[tuple[bool, float | None]]) -> None:
        self.index, self.told = index, told

    def predict_paths(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
        truths = {sample.image: sample.mask for sample in self.index.samples}
        for path, (right, agreement) in zip(paths, self.told, strict=True):
            mask = read_mask(truths[path], self.index.coding) * right
            values = dict.fromkeys(Prediction.__dataclass_fields__)
            yield path, Prediction(**{**values, "mask": mask, "agreement": agreement})


def test_all_validation_cases_are_scored(index: DatasetIndex) -> None:
    told = [(True, 1.0), (False, 0.25), (True, 0.5), (True, 1.0), (True, 1.0)]
    scores = validate_run(Told(index, told), index)  # type: ignore[arg-type]
    assert (scores.cases, scores.dice) == (5, pytest.approx(0.8))
    assert scores.agreement == pytest.approx(0.75)
    assert (scores.review_below, scores.flagged) == (0.5, pytest.approx(0.2))
    assert (scores.dice_flagged, scores.dice_rest) == (0, 1)
    assert scores.record().dice == 0.8


def test_a_line_now_and_then_says_how_many_are_scored(
    index: DatasetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 10.0, 40.0, 40.0, 50.0, 80.0, 80.0, 200.0])
    monkeypatch.setattr("lexiseg.training.validate.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    console = Console(record=True, width=100, file=io.StringIO())
    told = [(True, 1.0)] * 5
    validate_run(Told(index, told), index, progress=counting_lines(console))  # type: ignore[arg-type]
    assert [line.strip() for line in console.export_text().splitlines()] == [
        "2 of 5 validation cases scored",
        "4 of 5 validation cases scored",
    ]


def test_cases_in_which_nothing_can_be_measured_are_not_flagged(index: DatasetIndex) -> None:
    told = [(True, 1.0), (False, 0.25), (False, None), (True, 1.0), (True, None)]
    scores = validate_run(Told(index, told), index)  # type: ignore[arg-type]
    assert scores.agreement == pytest.approx(0.75)
    assert (scores.review_below, scores.flagged) == (0.25, 0)


def test_without_text_nothing_is_flagged(index: DatasetIndex) -> None:
    scores = validate_run(Told(index, [(True, None)] * 5), index)  # type: ignore[arg-type]
    assert (scores.agreement, scores.review_below, scores.flagged) == (None, 0, 0)
    assert (scores.dice_flagged, scores.dice_rest) == (None, 1)


def test_an_image_that_went_missing_is_named(index: DatasetIndex) -> None:
    broken = SimpleNamespace(predict_paths=lambda paths: ((path, DataError("it is gone")) for path in paths))
    with refuses("LEX-DATA-132", "can no longer be read"):
        validate_run(broken, index)  # type: ignore[arg-type]


def test_the_card_says_what_a_reader_must_know(tiny_run: Run, index: DatasetIndex) -> None:
    told = [(True, 1.0), (False, 0.25), (True, 0.5), (True, 1.0), (True, 1.0)]
    scores = validate_run(Told(index, told), index)  # type: ignore[arg-type]
    card = model_card(tiny_run, scores, averaged=True)
    assert tiny_run.manifest.training.selection == "best"
    for said in (
        "not a medical device",
        "Validation (not test): mean per-case Dice 0.8000 over 5 cases",
        "left and right are the image's",
        "agreement below 0.50 are flagged: 20.0 %",
        "seed 0",
        f"Selected: averaged weights of step {tiny_run.manifest.training.selected_step}, by validation Dice.",
    ):
        assert said in card
    silent = replace(tiny_run, manifest=tiny_run.manifest.model_copy(update={"vocabulary": None}))
    scores = validate_run(Told(index, [(True, None)] * 5), index)  # type: ignore[arg-type]
    card = model_card(silent, scores, averaged=True)
    assert "trained without words" in card
    assert "No validation case is flagged for review" in card


def test_the_card_says_how_the_weights_were_selected(tiny_run: Run, index: DatasetIndex) -> None:
    training = tiny_run.manifest.training.model_copy(update={"selection": "last", "selected_step": 7})
    last = replace(tiny_run, manifest=tiny_run.manifest.model_copy(update={"training": training}))
    scores = validate_run(Told(index, [(True, 1.0)] * 5), index)  # type: ignore[arg-type]
    card = model_card(last, scores, averaged=True)
    assert "Selected: averaged weights of step 7, the last step; validation Dice selects nothing." in card
    assert "by validation Dice" not in card
    plain = model_card(last, scores, averaged=False)
    assert "Selected: weights of step 7, the last step; validation Dice selects nothing." in plain
