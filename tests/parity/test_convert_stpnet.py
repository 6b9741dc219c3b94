"""A published checkpoint file becomes a run whose predictions are those of the published network."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lexiseg.inference.predictor import Predictor
from lexiseg.inference.preprocess import normalise
from lexiseg.models.normalisation import IMAGENET
from lexiseg.runs.conversion.stpnet import convert_stpnet
from lexiseg.runs.run import Run
from lexiseg.systems.stpnet.published_keys import load_published
from script_module import load_script

_BANKS = {"Unilateral_emb": 2, "num_emb": 2, "left_loc_emb": 8, "right_loc_emb": 8}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fill(shared_dir: Path) -> ModuleType:
    return load_script(shared_dir / "reference" / "fill.py")


@pytest.fixture(scope="module")
def state(shared_dir: Path, fill: ModuleType) -> dict[str, Tensor]:
    entries = json.loads((shared_dir / "reference" / "stpnet_keys.json").read_text())
    return {
        entry["name"]: torch.zeros(entry["shape"], dtype=torch.int64)
        if entry["name"].endswith("num_batches_tracked")
        else torch.from_numpy(fill.value_for(entry["name"], tuple(entry["shape"])))
        for entry in entries
    }


@pytest.fixture(scope="module")
def banks(fill: ModuleType) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(fill.normal(f"bank.{name}", (count, 1, 30, 768)))
        for name, count in _BANKS.items()
    }


@pytest.fixture(scope="module")
def converted(
    state: dict[str, Tensor], banks: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, int]:
    folder = tmp_path_factory.mktemp("convert")
    torch.save({"epoch": 7, "state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "net.pth")
    save_file(banks, folder / "banks.safetensors")
    result = convert_stpnet(folder / "net.pth", folder / "run", banks=folder / "banks.safetensors")
    (folder / "net.pth").unlink()
    return result


def test_the_run_is_whole(converted: tuple[Run, int]) -> None:
    run, dropped = converted
    assert dropped == 309
    assert {path.name for path in run.path.iterdir()} == {
        "run.json",
        "weights.safetensors",
        "bank.safetensors",
        "model_card.md",
    }
    opened = Run.open(run.path)
    assert opened.manifest == run.manifest
    assert (opened.manifest.network.preset, opened.manifest.image_size) == ("paper", 224)
    assert (opened.vocabulary.name, opened.side, opened.splits) == ("chest", "image", None)
    assert opened.manifest.training.converted_from == "net.pth"
    assert opened.path.stat().st_mode & 0o077 == 0  # private, as all files that Lexiseg writes
    assert "selects on the test" in (run.path / "model_card.md").read_text()


def test_it_predicts_as_the_published_network_does(
    converted: tuple[Run, int], state: dict[str, Tensor], banks: dict[str, Tensor]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    prediction = Predictor(converted[0].path).predict(pixels)
    with torch.inference_mode():
        seen = torch.from_numpy(normalise(pixels[None], IMAGENET.mean, IMAGENET.std))
        output = load_published(state, banks)(seen)
    np.testing.assert_allclose(prediction.probability, output.probability[0].numpy(), atol=1e-4)
    retrieved = {word.factor: word.index for word in prediction.words}
    assert retrieved == {name: int(factor.index[0]) for name, factor in output.factors.items()}
    assert [word.phrase for word in prediction.words][2].endswith("left lung")
