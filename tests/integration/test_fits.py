"""Trainings on padded images and on tiles, from images of several shapes to evaluation and refinement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import lexiseg
from lexiseg.data.phantom import make_phantom
from lexiseg.errors import UsageError
from lexiseg.files import write_json
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.runs.run import Run
from lexiseg.training import loop
from lexiseg.training.steps.segmentation_module import SegmentationModule

TINY: dict[str, Any] = {
    "text": "concepts",
    "vocabulary": "chest",
    "steps": 4,
    "image_size": 64,
    "batch_size": 4,
    "encoder": "lcnet_050",
    "encoder_weights": "none",
    "width": 16,
    "precision": "fp32",
    "workers": 0,
    "accelerator": "cpu",
    "seed": 3,
}
#: Shapes of the images: wide, tall, and smaller than a tile.
SHAPES = ((100, 150), (150, 80), (50, 60))


@pytest.fixture(scope="module", autouse=True)
def _short_segments() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SEGMENT_STEPS", 2)
        patch.setattr(loop, "_MIN_SEGMENT_STEPS", 2)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom images cut to several shapes."""
    folder = tmp_path_factory.mktemp("fits") / "data"
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    cases = make_phantom({"train": 8, "val": 3, "test": 3}, size=160, seed=2)
    for number, case in enumerate(cases):
        height, width = SHAPES[number % 3]
        for name, pixels in (("images", case.image), ("masks", 255 * (case.labels > 0).astype(np.uint8))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            middle = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            middle.save(folder / name / f"{case.name}.png")
        splits[case.split].append(case.name)
    write_json(folder / "splits.json", splits)
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    made = {fit: lexiseg.train(data, folder / fit, **TINY, fit=fit) for fit in ("pad", "tiles")}
    made["cotexnet"] = lexiseg.train(data, folder / "cotexnet", **TINY, fit="tiles", model="cotexnet")
    return made


@pytest.mark.parametrize("name", ["pad", "tiles", "cotexnet"])
def test_the_run_states_its_fit(runs: dict[str, Run], name: str) -> None:
    run = Run.open(runs[name].path)
    fit = "pad" if name == "pad" else "tiles"
    assert run.manifest.fit == fit
    assert f"fit: {fit}" in (run.path / "config.yaml").read_text()
    assert f"({fit})" in (run.path / "model_card.md").read_text()
    validation = run.finished_training.validation
    assert validation.cases == 3
    assert "val/dice" in run.history[-1]


@pytest.mark.parametrize("name", ["pad", "tiles", "cotexnet"])
def test_predictions_are_on_the_grid_of_each_image(
    runs: dict[str, Run], name: str, data: Path, tmp_path: Path
) -> None:
    predictor = lexiseg.load(runs[name].path)
    targets = find_targets([str(data / "images")])
    summary = predict_to_files(predictor, targets, tmp_path / "out", formats=["mask", "card"])
    assert (summary.done, summary.failed) == (14, ())
    for target in targets:
        size = Image.open(target.image).size
        assert Image.open(tmp_path / "out" / "masks" / f"{target.image.stem}.png").size == size


def test_the_last_validation_is_a_prediction(runs: dict[str, Run], data: Path) -> None:
    """The Dice of the last segment, by tiles on the images' own grids, is that of prediction."""
    run = runs["tiles"]
    selected = run.finished_training.selected_step
    row = next(row for row in run.history if int(float(row["step"])) == selected and row["val/dice"])
    assert float(row["val/dice"]) == pytest.approx(run.finished_training.validation.dice, abs=2e-3)


def test_a_run_is_evaluated_calibrated_and_refined(runs: dict[str, Run], data: Path, tmp_path: Path) -> None:
    for name in ("pad", "tiles"):
        run = runs[name]
        lexiseg.calibrate(run.path, data)
        result = lexiseg.evaluate(run.path, data, split="test", out=tmp_path / name)
        assert len(result.cases) == 3
        report = (tmp_path / name / "report.html").read_text()
        assert {"pad": "its aspect ratio kept", "tiles": "in tiles of 64 x 64 px"}[name] in report
        predictor = lexiseg.load(run.path)
        image = next((data / "images").iterdir())
        refined = lexiseg.refine(predictor, image, say="no lesion in left lung")
        width, height = Image.open(image).size
        assert refined.mask.shape == (height, width)
        assert not refined.mask[:, : width // 2].any()


def test_a_resumed_training_ends_the_same(
    runs: dict[str, Run], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = SegmentationModule.on_train_batch_end

    def broken(self: SegmentationModule, *arguments: Any) -> None:
        after(self, *arguments)
        if self.progress.step == 3:
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "on_train_batch_end", broken)
        with pytest.raises(OSError, match="killed"):
            lexiseg.train(data, tmp_path / "run", **TINY, fit="tiles")
    resumed = lexiseg.train(data, tmp_path / "run", resume=True)
    assert resumed.manifest.fit == "tiles"
    first, second = load_file(runs["tiles"].weights_file), load_file(resumed.weights_file)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_an_unknown_fit_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fit: .*'squeeze'"):
        lexiseg.train(data, tmp_path / "run", **TINY, fit="squeeze")  # type: ignore[arg-type]
