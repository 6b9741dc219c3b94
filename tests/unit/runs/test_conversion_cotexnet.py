"""A published CoTexNet checkpoint becomes a run that predicts as the published network does."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPSegConfig

from lexiseg.inference.predictor import Predictor
from lexiseg.inference.preprocess import normalise
from lexiseg.models.normalisation import IMAGENET
from lexiseg.runs.conversion.cotexnet import convert_cotexnet
from lexiseg.runs.run import Run
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from published_checkpoints import published_cotexnet
from refusals import refuses
from tiny_clipseg import CONFIG, write_clipseg

PIXELS = np.random.default_rng(0).integers(0, 256, (80, 64, 3), dtype=np.uint8)


@cache
def network(classes: int) -> CoTexNet:
    torch.manual_seed(3)
    return CoTexNet(CLIPSegConfig.from_dict(CONFIG), classes).eval()


def checkpoint(folder: Path, classes: int, *, key: str = "model") -> Path:
    state = {f"module.{name}": value for name, value in published_cotexnet(network(classes)).items()}
    torch.save({"epoch": 3, key: state}, folder / "net.pth")
    return folder / "net.pth"


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clipseg(tmp_path_factory.mktemp("clipseg"))


@pytest.mark.parametrize(("classes", "key"), [(2, "model"), (4, "state_dict")])
def test_it_predicts_as_the_published_network_does(
    tmp_path: Path, clipseg: Path, classes: int, key: str
) -> None:
    file = checkpoint(tmp_path, classes, key=key)
    run, dropped = convert_cotexnet(file, tmp_path / "run", clipseg=clipseg, image_size=64)
    assert {path.name for path in run.path.iterdir()} == {"run.json", "weights.safetensors", "model_card.md"}
    kept = load_file(run.weights_file)
    assert dropped == len(published_cotexnet(network(classes))) - len(kept)
    assert not [name for name in kept if name.startswith(network(classes).training_only_prefixes)]
    opened = Run.open(run.path)
    assert opened.manifest == run.manifest
    assert opened.class_names == (
        ("background", "lesion") if classes == 2 else ("background", "class 1", "class 2", "class 3")
    )
    prediction = Predictor(opened).predict(PIXELS[:64])
    with torch.inference_mode():
        image = normalise(PIXELS[:64][None], IMAGENET.mean, IMAGENET.std)
        logits = network(classes)(torch.from_numpy(image)).logits[0]
    expected = logits[0] > 0 if classes == 2 else logits.argmax(dim=0)
    np.testing.assert_array_equal(prediction.mask, expected.numpy())
    assert prediction.words == ()
    assert "it names no words" in (run.path / "model_card.md").read_text()


def test_names_of_classes(tmp_path: Path, clipseg: Path) -> None:
    file = checkpoint(tmp_path, 4)
    run, _ = convert_cotexnet(file, tmp_path / "run", clipseg=clipseg, class_names=["lv", "myo", "la"])
    assert run.class_names == ("background", "lv", "myo", "la")
    assert run.manifest.image_size == 224
    for names in (["lv"], ["lv", "lv", "la"]):
        with refuses("LEX-USE-037", "3 foreground classes,"):
            convert_cotexnet(file, tmp_path / "other", clipseg=clipseg, class_names=names)
    assert not (tmp_path / "other").exists()


def test_refusals(tmp_path: Path, clipseg: Path) -> None:
    file = checkpoint(tmp_path, 2)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with refuses("LEX-RUN-006", "already exists"):
        convert_cotexnet(file, tmp_path / "used", clipseg=clipseg)
    with refuses("LEX-WEIGHTS-026", "no 'config.json' in"):
        convert_cotexnet(file, tmp_path / "run", clipseg=tmp_path / "used")
    with refuses("LEX-USE-022", "must be at least 64; got 0"):
        convert_cotexnet(file, tmp_path / "run", clipseg=clipseg, image_size=0)
    torch.save({"model": {"conv.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with refuses("LEX-WEIGHTS-028", "1 unknown key: conv.weight"):
        convert_cotexnet(tmp_path / "other.pth", tmp_path / "run", clipseg=clipseg)
    torch.save({"model": Path("x")}, tmp_path / "objects.pth")
    with refuses("LEX-WEIGHTS-011", "objects.pth cannot be read"):
        convert_cotexnet(tmp_path / "objects.pth", tmp_path / "run", clipseg=clipseg)
    assert not (tmp_path / "run").exists()
