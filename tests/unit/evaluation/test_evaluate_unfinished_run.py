"""`lexiseg evaluate` of a run whose training is not finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import lexiseg
from lexiseg.cli.app import app
from lexiseg.data import open_dataset
from lexiseg.evaluation.evaluate import evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.runs.manifest import TrainingRecord


@pytest.mark.parametrize("finished", [True, False])
def test_the_command_says_so_and_scores_it(
    tmp_path: Path,
    write_case: Any,
    disc: Any,
    fake_run: Any,
    fake_predictor: Any,
    monkeypatch: pytest.MonkeyPatch,
    finished: bool,
) -> None:
    write_case(tmp_path / "data", "a", disc(32, 16, 8, 5), "test")
    run = fake_run(text_source="none")
    manifest = run.manifest.model_copy(update={"training": TrainingRecord(finished=finished)})
    predictor = fake_predictor(replace(run, manifest=manifest), {"a": (np.zeros((32, 32), np.uint8), ())})
    index, options = open_dataset(tmp_path / "data"), EvaluationOptions()
    found = evaluate_on(index, predictor, options, out=tmp_path / "out")
    monkeypatch.setattr(lexiseg, "evaluate", lambda *_, **__: found, raising=False)
    said = CliRunner().invoke(app, ["evaluate", "runs/fake", str(tmp_path / "data"), "--out", "out"])
    assert said.exit_code == 0, said.output
    sentence = "`lexiseg train DATA --out runs/fake --resume` finishes it."
    assert (sentence in " ".join(said.output.split())) is not finished
