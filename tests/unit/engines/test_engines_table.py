"""The table of benchmarks/engines.py: an engine that cannot compute has a row too."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lexiseg.engines.engine import EngineDescription
from lexiseg.errors import WeightsError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def engines() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        # As an imported module: its data classes look their own module up.
        return importlib.import_module("engines")


def measured(engines: ModuleType, name: Any, precision: Any, mask: list[int], score: float) -> Any:
    """Return an engine that predicts one image with one word."""
    description = EngineDescription(name=name, version="1.0", precision=precision, device="cpu")
    prediction = SimpleNamespace(
        mask=np.array(mask, np.uint8), words=[SimpleNamespace(index=mask[0])], flagged=False
    )
    batch = np.zeros((1, 3, 2, 2), np.float32)
    logits = np.full((1, 1, 2, 2), score, np.float32)
    engine = SimpleNamespace(description=description, run=lambda images: None)
    return engines.Measured(engine, [prediction], batch, logits)


def table(engines: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any, answers: Any) -> list[list[str]]:
    """Return the cells of the table; `answers` gives what an engine in a precision does."""

    def predicted(run: Any, name: str, precision: str, images: Any, batch_size: int) -> Any:
        answer = answers(name, precision)
        if isinstance(answer, str):
            raise WeightsError(answer, code="LEX-WEIGHTS-869")
        return answer

    monkeypatch.setattr(engines, "_predicted", predicted)
    engines.print_table(engines.measure(None, [None], 1), 1)
    lines = capsys.readouterr().out.splitlines()
    assert {line.count("|") for line in lines} == {9}
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_refusal_is_a_row_and_the_others_are_measured(
    engines: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def answers(name: str, precision: str) -> Any:
        if precision == "bf16":
            return "OpenVINO cannot load it:\nno primitive | GRU."
        mask = [1, 1, 0, 0] if name == "torch" else [0, 1, 1, 0]
        return measured(engines, name, precision, mask, score=0.5 if name == "torch" else 0.25)

    rows = table(engines, monkeypatch, capsys, answers)
    assert [row[0] for row in rows] == [
        "torch 1.0, fp32", "onnx 1.0, fp32", "openvino 1.0, fp32", "openvino, bf16",
    ]  # fmt: skip
    # Two pixels each, one in common; the word is another one; the scores differ by 0.25.
    assert rows[0][3:] == ["0.0e+00", "1.00000", "1.00000", "100.00 %", "100.00 %"]
    assert rows[1][3:] == ["2.5e-01", "0.50000", "0.50000", "0.00 %", "100.00 %"]
    assert rows[3][1] == "refused: OpenVINO cannot load it: no primitive / GRU."


def test_a_processor_without_bf16_is_a_row(
    engines: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    rows = table(
        engines, monkeypatch, capsys, lambda name, _: measured(engines, name, "fp32", [1, 1, 0, 0], 0.5)
    )
    assert rows[3][:2] == ["openvino 1.0, bf16", "refused: this processor computes it with fp32 only"]
    assert rows[2][4] == "1.00000"


def test_without_torch_the_first_engine_is_compared_with(
    engines: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def answers(name: str, precision: str) -> Any:
        return "It is missing." if name == "torch" else measured(engines, name, precision, [1, 0, 0, 0], 0.5)

    rows = table(engines, monkeypatch, capsys, answers)
    assert rows[0][:2] == ["torch, fp32", "refused: It is missing."]
    assert rows[1][4] == "1.00000"
    assert [row[0] for row in table(engines, monkeypatch, capsys, lambda *_: "None of them.")] == [
        "torch, fp32", "onnx, fp32", "openvino, fp32", "openvino, bf16",
    ]  # fmt: skip
