"""The options of prediction."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import lexiseg
from lexiseg.errors import UsageError
from lexiseg.inference.options import PredictionOptions


def test_load_takes_every_option_as_a_keyword() -> None:
    keywords = list(inspect.signature(lexiseg.load).parameters)[1:]
    assert keywords == [field.name for field in dataclasses.fields(PredictionOptions)]


def test_load_passes_them_on() -> None:
    plain = lexiseg.load("covid-xray")
    assert plain.options == PredictionOptions()
    predictor = lexiseg.load("covid-xray", flip_average=True, batch_size=3, spacing_mm=(0.5, 0.25))
    assert predictor.options == PredictionOptions(flip_average=True, batch_size=3, spacing_mm=(0.5, 0.25))


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -1.0), (float("inf"), 1.0), (float("nan"), 1.0)])
def test_a_spacing_that_cannot_be_is_refused(spacing: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"above 0 mm(?s:.*)LEX-USE-045"):
        PredictionOptions(spacing_mm=spacing)


def test_a_batch_holds_an_image() -> None:
    with pytest.raises(UsageError, match=r"at least 1 image, got 0(?s:.*)LEX-USE-570"):
        PredictionOptions(batch_size=0)
