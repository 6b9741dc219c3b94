"""A system of another package does everything that STPNet and CoTexNet do, and no file of Lexiseg changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import shell
from safetensors.torch import load_file

import lexiseg
from lexiseg.data.phantom import write_phantom
from lexiseg.errors import UsageError
from lexiseg.inference.explanation.card import build_card
from lexiseg.runs.run import Run
from lexiseg.systems import registry
from lexiseg.training import loop
from lexiseg.training.steps.segmentation_module import SegmentationModule
from registry_copy import copy_registry
from toy_system import TOY

TINY: dict[str, Any] = {
    "model": "toy",
    "text": "concepts",
    "steps": 4,
    "image_size": 32,
    "batch_size": 4,
    "precision": "fp32",
    "workers": 0,
    "accelerator": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "data"
    write_phantom(folder, num_train=8, num_val=4, num_test=3, size=64, seed=1)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _toy() -> Iterator[None]:
    """Register the system by the public call, for this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        copy_registry(patch)
        patch.setattr(loop, "SEGMENT_STEPS", 2)
        patch.setattr(loop, "_MIN_SEGMENT_STEPS", 2)
        registry.register(TOY)
        yield


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return lexiseg.train(data, tmp_path_factory.mktemp("toy") / "run", **TINY)


def test_it_trains(run: Run) -> None:
    network = run.manifest.network
    assert (network.model, network.preset, network.settings) == ("toy", "small", {"channels": 4})
    assert run.manifest.training.finished is True
    assert ": toy, small" in (run.path / "model_card.md").read_text()


def test_its_configuration_has_its_own_fields_only(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)width: the small preset of Toy Net has no .*LEX-USE-500"):
        lexiseg.train(data, tmp_path / "run", **TINY, width=16)
    options: Any = {**TINY, "channels": 2, "steps": 1, "text": "none"}
    run = lexiseg.train(data, tmp_path / "run", **options)
    assert run.manifest.network.settings == {"channels": 2}


def test_it_resumes(data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after = SegmentationModule.on_train_batch_end

    def broken(self: SegmentationModule, *arguments: Any) -> None:
        after(self, *arguments)
        if self.progress.step == 3:
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "on_train_batch_end", broken)
        with pytest.raises(OSError, match="killed"):
            lexiseg.train(data, tmp_path / "run", **TINY)
    resumed = lexiseg.train(data, tmp_path / "run", resume=True)
    first, second = load_file(run.weights_file), load_file(resumed.weights_file)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_it_predicts_and_explains(data: Path, run: Run) -> None:
    image = next((data / "Test_Folder" / "img").iterdir())
    predictor = lexiseg.load(run.path)
    prediction = predictor.predict(image)
    assert prediction.mask.shape == (64, 64)
    assert [word.factor for word in prediction.words] == ["laterality", "count", "left", "right"]
    explanation = lexiseg.explain(predictor, image)
    assert len(explanation.words) == 4
    # No prompt reaches this network; phrases about places move the mask by the zone atlas.
    asked = [word for word in explanation.words if word.factor in ("laterality", "count")]
    assert all(what_if.overlap == 1 for word in asked for what_if in word.what_if)
    assert "<html" in build_card(
        torch.zeros(64, 64, 3, dtype=torch.uint8).numpy(), explanation, name="a", run="b"
    )


def test_it_is_evaluated_and_calibrated(data: Path, run: Run, tmp_path: Path) -> None:
    lexiseg.calibrate(run.path, data)
    assert (run.path / "calibration.json").is_file()
    result = lexiseg.evaluate(run.path, data, split="test", out=tmp_path / "test")
    assert len(result.cases) == 3
    assert "Toy Net, small preset" in (tmp_path / "test" / "report.html").read_text()


def test_it_is_audited(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text("batch_size: 4\nworkers: 0\naccelerator: cpu\nchannels: 3\n")
    audited = lexiseg.audit(
        data,
        tmp_path / "audit",
        models=["toy"],
        arms=["none", "concepts"],
        seeds=1,
        steps=2,
        image_size=32,
        config_file=config,
    )
    assert [arm.model for arm in audited.result.arms] == ["toy", "toy"]
    assert "Toy Net" in (tmp_path / "audit" / "audit.html").read_text()
    settings = json.loads((tmp_path / "audit" / "settings.json").read_text())
    assert settings["training"]["channels"] == 3


def installed(folder: Path, value: str) -> str:
    """Return a PYTHONPATH on which a package brings a system by an entry point."""
    about = folder / "toy_package-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[lexiseg.systems]\ntoy = {value}\n")
    source = Path(lexiseg.__file__).parents[1]
    return f"{about.parent}:{source}:{Path(__file__).parents[1]}"


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    outcome = shell("train", "--help", PYTHONPATH=installed(tmp_path / "site", "toy_system:NOTHING"))
    outcome.refuses(2, "The system 'toy' of the package 'toy-package' cannot be loaded", "LEX-USE-503")


def test_an_installed_package_brings_it(data: Path, tmp_path: Path) -> None:
    wide = {"PYTHONPATH": installed(tmp_path / "site", "toy_system:TOY"), "COLUMNS": "200"}
    shown = shell("train", "--help", **wide)
    assert "toy (Toy Net)" in shown.stdout
    assert "toy small: one convolution" in shown.stdout
    assert "stpnet, cotexnet, toy" in shell("audit", "--help", **wide).stdout
    options = ("--text", "none", "--steps", 2, "--image-size", 32, "--batch-size", 4, "--workers", 0)
    trained = shell("train", data, "--out", tmp_path / "run", "--model", "toy", *options, **wide)
    assert trained.code == 0, trained.stderr
    assert Run.open(tmp_path / "run").manifest.network.model == "toy"
    without = shell("predict", tmp_path / "run", data / "Test_Folder" / "img", "--out", tmp_path / "masks")
    without.refuses(2, "expected one of stpnet, cotexnet; got 'toy'", "LEX-USE-501")
