"""Runs whose network cannot be built, or whose scores are not numbers, predict nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from torch import nn

from lexiseg.engines import torch_engine
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.review import ReviewRule, Signal
from lexiseg.runs.run import Run
from lexiseg.systems.cotexnet.published_keys import read_config
from refusals import refuses
from tiny_clipseg import CONFIG

MakeRun = Callable[..., tuple[Run, nn.Module]]


def edited(run: Run, **network: Any) -> Path:
    value = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    value["network"] |= network
    (run.path / "run.json").write_text(json.dumps(value), encoding="utf-8")
    return run.path


@pytest.mark.parametrize(
    "error", [RuntimeError("cannot allocate\nmore"), MemoryError(), ZeroDivisionError("by 0")]
)
def test_networks_that_cannot_be_built(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run, _ = make_run(tmp_path, text="none")

    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(torch_engine, "build_network", fail)
    with refuses("LEX-RUN-771", "run.json", "cannot be built") as caught:
        Predictor(run)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network(make_run: MakeRun, tmp_path: Path) -> None:
    run, _ = make_run(tmp_path, text="none")
    with refuses("LEX-WEIGHTS-019", "do not fit") as caught:
        Predictor(edited(run, model="cotexnet", preset="paper", clipseg=CONFIG))
    assert len(str(caught.value)) < 1000


def test_scores_that_are_not_finite(make_run: MakeRun, tmp_path: Path) -> None:
    run, _ = make_run(tmp_path, text="none")
    state = load_file(run.weights_file)
    state["decoder.head.weight"] = state["decoder.head.weight"] * 1e38 * 1e38
    state["decoder.head.weight"][:] = 3e38
    save_file(state, run.weights_file)
    with refuses("LEX-RUN-773", "not finite"):
        Predictor(run.path).predict(np.full((64, 64, 3), 200, np.uint8))


def test_a_calibration_for_another_way_of_predicting() -> None:
    rule = ReviewRule(signals={"mirror": Signal(mean=0, spread=1, weight=1)}, bias=0, below=0.5)
    with refuses("LEX-RUN-772", "mirror"):
        rule.expected_dice({"overlap": 0.5})


@pytest.mark.parametrize(
    "sizes",
    [
        {"vision_config": {"hidden_size": 10**9}},
        {"vision_config": {"num_hidden_layers": -1}},
        {"text_config": {"vocab_size": "many"}},
        {"text_config": 3},
        {"reduce_dim": 0},
    ],
)
def test_sizes_of_a_clipseg(sizes: dict[str, Any]) -> None:
    with refuses("LEX-WEIGHTS-775"):
        read_config({**CONFIG, **sizes})
