"""A figure of metrics.json can be traced to the weights, and to the model file, that gave it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import lexiseg
from lexiseg.evaluation.evaluate import evaluate
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.provenance import describe_execution
from lexiseg.runs.run import Run


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_evaluation_names_weights_and_model_file(tmp_path: Path, write_case: object, disc: object) -> None:
    run = Run.open("covid-xray")
    write_case(tmp_path / "data", "a", disc(64, 20, 14, 6))  # type: ignore[operator]
    found = evaluate(run, tmp_path / "data", out=tmp_path / "out", engine="onnx")
    assert found.metrics.run.weights_sha256 == sha256(run.path / "weights.safetensors")
    file = found.metrics.execution.model_file
    assert file is not None
    assert (file.name, file.sha256) == ("model.onnx", sha256(run.path / "model.onnx"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert found.metrics.run.weights_sha256 in page
    assert file.sha256 in page


@pytest.mark.parametrize(("engine", "file"), [("openvino", "model.onnx"), ("torch", None)])
def test_each_engine_names_the_file_that_it_computed(engine: str, file: str | None, tmp_path: Path) -> None:
    predictor = lexiseg.load("covid-xray", engine=engine)  # type: ignore[arg-type]
    found = describe_execution(predictor, tmp_path, EvaluationOptions(), out=tmp_path, seconds=1.0)
    assert found.average_with_sha256 == ()
    assert (found.model_file.name if found.model_file else None) == file
