"""Run folders from elsewhere: damaged, edited or hostile files are refused with one message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lexiseg.inference.reliability.calibration import CALIBRATION_FILE, load_calibration
from lexiseg.models.network_weights import load_weights
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.run import Run
from lexiseg.training.config import make_config
from refusals import refuses

DEEP = "[" * 100_000
LONG = "9" * 5000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The small files of the shipped run; its weights are one number."""
    shipped = Run.open("covid-xray").path
    for name in ("run.json", "splits.json", "history.csv", "bank.safetensors"):
        if (shipped / name).is_file():
            shutil.copy(shipped / name, tmp_path / name)
    save_file({"weight": torch.zeros(1)}, tmp_path / "weights.safetensors")
    return tmp_path


def changed(run: Path, **changes: Any) -> None:
    value = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**value, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "text", [DEEP, LONG, '{"format_version": NaN}', '{"format_version": 1e999}', "[]", "\0"]
)
def test_a_manifest_that_is_no_manifest(run: Path, text: str) -> None:
    (run / "run.json").write_text(text, encoding="utf-8")
    with refuses("LEX-RUN-003", "run.json"):
        Run.open(run)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"mean": [1e19, 0.5, 0.5]}, "mean"),
        ({"mean": [0.5, 1e300, 0.5]}, "mean"),
        ({"mean": [0.5, 0.5, -0.1]}, "mean"),
        ({"std": [0.0, 1.0, 1.0]}, "std"),
        ({"std": [0.2, 0.2, 1e9]}, "std"),
        ({"image_size": 0}, "image_size"),
        ({"image_size": 10**9}, "image_size"),
        ({"class_names": ["background"]}, "class_names"),
        ({"review_below": 3}, "review_below"),
        ({"network": {"width": 2**20}}, "width"),
        ({"network": {"out_channels": 10**6}}, "out_channels"),
        ({"format_version": -1}, "format_version"),
        ({"vocabulary": {"name": "x"}}, "vocabulary"),
        ({"data": {"samples": {"train": "many"}}}, "samples"),
    ],
)
def test_values_outside_their_range(run: Path, changes: dict[str, Any], word: str) -> None:
    changed(run, **changes)
    with refuses("LEX-RUN-005", word):
        Run.open(run)


@pytest.mark.parametrize(
    "text", [DEEP, LONG, '{"train": [NaN]}', '{"train": ["a"], "train": []}', r'{"test": ["\ud800"]}']
)
def test_splits(run: Path, text: str) -> None:
    (run / "splits.json").write_text(text, encoding="utf-8")
    with refuses("LEX-RUN-008", "splits.json"):
        _ = Run.open(run).splits


@pytest.mark.parametrize(
    "text", [DEEP, LONG, '{"format_version": [1]}', '{"format_version": Infinity}', '"x"']
)
def test_calibration(run: Path, text: str) -> None:
    (run / CALIBRATION_FILE).write_text(text, encoding="utf-8")
    with refuses("LEX-RUN-010", CALIBRATION_FILE):
        load_calibration(Run.open(run), flip_average=False)


@pytest.mark.parametrize(
    "text", ["- " * 500, "seed: " + LONG, "learning_rate: .nan", "a: &a [*a]", "seed: 1\nseed: 2"]
)
def test_configuration(run: Path, text: str) -> None:
    (run / "config.yaml").write_text(text, encoding="utf-8")
    with refuses("LEX-USE-071", "config.yaml"):
        make_config({}, run / "config.yaml")


@pytest.mark.parametrize(
    "text", ["step,val/gap\n1,far\n", "step\n1,2,3\n", 'step\n"1\n', "step\n" + "1" * 200_000, "\xff"]
)
def test_history(run: Path, text: str) -> None:
    (run / "history.csv").write_bytes(text.encode("latin-1"))
    with refuses("LEX-RUN-777", "history.csv"):
        _ = Run.open(run).history


def bank_with(path: Path, edit: Callable[[dict[str, str], dict[str, torch.Tensor]], None]) -> None:
    about = {"format": "lexiseg.text_bank.1", "encoder": "some/encoder", "phrases": '[["size", ["a", "b"]]]'}
    tensors = {"size": torch.zeros(2, 1, 3, 4)}
    edit(about, tensors)
    save_file(tensors, path, metadata=about)


@pytest.mark.parametrize(
    "phrases",
    [DEEP, LONG, "{}", "[1]", '[["size"]]', '[["size", "ab"]]', '[["size", [1, 2]]]',
     '[[["size"], ["a", "b"]]]', '[["other", ["a", "b"]]]', '[["size", ["a"]]]', "[]", '[["size", [NaN]]]'],
)  # fmt: skip
def test_phrases_of_a_bank(tmp_path: Path, phrases: str) -> None:
    bank_with(tmp_path / "bank", lambda about, tensors: about.update(phrases=phrases))
    with refuses("LEX-WEIGHTS-005", "damaged"):
        TextBank.load(tmp_path / "bank")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((2, 1, 3, 4), float("nan")),
        torch.zeros(2, 1, 0, 4),
        torch.zeros(2),
        torch.zeros(2, 1, 3, 4).int(),
    ],
)
def test_embeddings_of_a_bank(tmp_path: Path, tensor: torch.Tensor) -> None:
    bank_with(tmp_path / "bank", lambda about, tensors: tensors.update(size=tensor))
    with refuses("LEX-WEIGHTS-005", "damaged"):
        TextBank.load(tmp_path / "bank")


def test_truncated_safetensors(run: Path) -> None:
    for name, load in (
        ("bank.safetensors", TextBank.load),
        ("weights.safetensors", lambda path: load_weights(torch.nn.Linear(1, 1), path)),
    ):
        whole = (run / name).read_bytes()
        for end in (0, 1, 7, 8, 20, len(whole) - 1):
            (run / name).write_bytes(whole[:end])
            with refuses("LEX-WEIGHTS-003" if name.startswith("bank") else "LEX-WEIGHTS-017", name):
                load(run / name)
        (run / name).write_bytes((2**62).to_bytes(8, "little") + whole[8:])
        with refuses("LEX-WEIGHTS-003" if name.startswith("bank") else "LEX-WEIGHTS-017", name):
            load(run / name)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1 + 2j])
def test_weights_that_are_not_finite(tmp_path: Path, value: complex) -> None:
    try:
        save_file({"weight": torch.tensor([[value]]), "bias": torch.zeros(1)}, tmp_path / "weights")
    except KeyError:
        pytest.skip("this version of safetensors stores no complex numbers")
    with refuses("LEX-WEIGHTS-774", "weight"):
        load_weights(torch.nn.Linear(1, 1), tmp_path / "weights")
    assert load_file(tmp_path / "weights").keys() == {"weight", "bias"}
