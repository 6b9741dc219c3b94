"""Functions that fit or check one run take no other options of prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lexiseg
from lexiseg.evaluation.options import prediction_options
from lexiseg.inference.options import PredictionOptions
from refusals import refuses


def test_options_are_those_of_the_keywords() -> None:
    assert prediction_options({}) == PredictionOptions()
    assert prediction_options({"batch_size": 3, "flip_average": True}) == PredictionOptions(
        batch_size=3, flip_average=True
    )


@pytest.mark.parametrize(
    "check",
    [
        lambda data, out: lexiseg.calibrate("covid-xray", data, average_with="covid-xray"),
        lambda data, out: lexiseg.find_suspicions("covid-xray", data, out, average_with="covid-xray"),
        lambda data, out: lexiseg.find_suspicions_by_folds(data, out, average_with="covid-xray"),
        lambda data, out: lexiseg.compare("covid-xray", "other", data, out=out, average_with="covid-xray"),
    ],
    ids=["calibrate", "find_suspicions", "find_suspicions_by_folds", "compare"],
)
def test_another_run_is_not_averaged_in_unsaid(check: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "data"
    lexiseg.write_phantom(data, num_train=4, num_val=2, num_test=2, size=64)
    with refuses("LEX-USE-2110", "average_with: there is no such option. The options are: batch_size"):
        check(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda data, out: lexiseg.evaluate("covid-xray", data, out=out, splt="val"),
        lambda data, out: lexiseg.evaluate_runs(["covid-xray"], data, out=out, splt="val"),
        lambda data, out: lexiseg.compare("covid-xray", "covid-xray", data, out=out, splt="val"),
        lambda data, out: lexiseg.audit(data, out=out, splt="val"),
    ],
    ids=["evaluate", "evaluate_runs", "compare", "audit"],
)
def test_a_misspelled_option_is_refused_with_those_that_exist(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    with refuses("LEX-USE-2110", "splt: there is no such option. The options are: ", " split, "):
        call(tmp_path, tmp_path / "out")
