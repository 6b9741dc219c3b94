"""Calibration on the validation split, what it changes in use, and cards."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from command_line import Command, Trained

import lexiseg
from lexiseg.errors import DiskError
from lexiseg.evaluation.fitting import card_review, training_images


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """Return a copy of the trained run that a test may calibrate."""
    return Path(shutil.copytree(trained.run, tmp_path / "run"))


def masks_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "masks").iterdir()}


def test_calibration_reaches_prediction_and_evaluation(
    cli: Command, run: Path, phantom: Path, images: Path, tmp_path: Path
) -> None:
    assert cli("predict", run, images, "--out", tmp_path / "before").code == 0
    outcome = cli("calibrate", run, phantom)
    assert outcome.code == 0, outcome.stderr
    card = (run / "model_card.md").read_text()
    assert "- Review: plain predictions with an expected Dice below" in card
    assert "agreement below" not in card
    fitted = json.loads((run / "calibration.json").read_text())
    assert (fitted["plain"]["data"]["samples"], fitted["plain"]["data"]["split"]) == (6, "val")
    assert fitted["flip_average"] is None
    assert fitted["plain"]["engine"].startswith("torch ")
    assert f"Temperature {fitted['plain']['temperature']:.3f}, chosen on 6 validation" in outcome.stdout
    assert cli("predict", run, images, "--out", tmp_path / "after").code == 0
    assert masks_of(tmp_path / "before") == masks_of(tmp_path / "after")
    lines = [json.loads(line) for line in (tmp_path / "after" / "predictions.jsonl").read_text().splitlines()]
    assert all(0 <= line["expected_dice"] <= 1 for line in lines)
    assert cli("evaluate", run, phantom, "--out", tmp_path / "test").code == 0
    metrics = json.loads((tmp_path / "test" / "metrics.json").read_text())
    assert metrics["calibration"]["temperature"] == fitted["plain"]["temperature"]
    with open(tmp_path / "test" / "cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # Both look at the same images: what predict says of them, evaluate counts.
    assert [round(float(row["expected_dice"]), 4) for row in rows] == pytest.approx(
        [line["expected_dice"] for line in lines], abs=2e-4
    )
    assert metrics["review"]["n"] == sum(line["flagged"] for line in lines)
    assert metrics["in_sample"] is None
    checked = cli("evaluate", run, phantom, "--split", "val", "--out", tmp_path / "val")
    assert checked.code == 0, checked.stderr
    assert "were fitted on the validation split" in checked.stdout
    report = (tmp_path / "test" / "report.html").read_text()
    assert f"temperature {fitted['plain']['temperature']:.2f}" in report


def test_the_calibration_is_the_last_file(run: Path, phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise DiskError(f"{path} cannot be written.", code="LEX-DISK-001")

    monkeypatch.setattr(card_review, "write_text", full)
    with pytest.raises(DiskError):
        lexiseg.calibrate(run, phantom)
    assert not (run / "calibration.json").exists()


def test_an_engine_calibrates(cli: Command, run: Path, phantom: Path) -> None:
    cli("calibrate", run, phantom, "--engine", "onnx").refuses(4, "holds no model.onnx", "[LEX-RUN-873]")
    assert not (run / "calibration.json").exists()
    assert cli("export", run).code == 0
    (run / "training_images.safetensors").unlink(missing_ok=True)
    outcome = cli("calibrate", run, phantom, "--engine", "onnx")
    assert outcome.code == 0
    assert "fewer than 20 training or validation images" in outcome.stdout
    assert json.loads((run / "calibration.json").read_text())["plain"]["engine"].startswith("onnx ")


def test_it_says_what_computed_the_description_of_the_training_images(
    cli: Command, run: Path, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_images, "FEWEST_IMAGES", 5)
    assert cli("export", run).code == 0
    (run / "training_images.safetensors").unlink(missing_ok=True)
    outcome = cli("calibrate", run, phantom)
    assert outcome.code == 0, outcome.stderr
    assert json.loads((run / "calibration.json").read_text())["plain"]["engine"].startswith("onnx ")
    assert "look like (content, layout, colour) is in" in outcome.stdout
    assert ", computed by torch " in outcome.stdout


def test_flip_averaging_is_calibrated_on_its_own(cli: Command, run: Path, phantom: Path) -> None:
    assert cli("calibrate", run, phantom, "--flip-average").code == 0
    fitted = json.loads((run / "calibration.json").read_text())
    assert fitted["plain"] is None
    assert "mirror" in fitted["flip_average"]["review"]["signals"]


def test_weights_that_changed_are_noticed(cli: Command, run: Path, phantom: Path, images: Path) -> None:
    assert cli("calibrate", run, phantom).code == 0
    file = run / "calibration.json"
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "weights_sha256": "0" * 64}))
    outcome = cli("predict", run, images, "--out", run / "out")
    outcome.refuses(4, f"{file} was fitted for other weights", f"lexiseg calibrate {run} DATA")
    assert not (run / "out").exists()
    assert cli("calibrate", run, phantom).code == 0
    assert cli("predict", run, images, "--out", run / "out").code == 0


@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
def test_cards_beside_masks(
    cli: Command, trained: Trained, trained_cotexnet: Trained, images: Path, tmp_path: Path, model: str
) -> None:
    source = {"stpnet": trained, "cotexnet": trained_cotexnet}[model].run
    folder = Path(shutil.copytree(images, tmp_path / "in"))
    (folder / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    outcome = cli("predict", source, folder, "--out", out, "--explain")
    assert outcome.code == 1
    assert "6 of 7 images segmented" in outcome.stdout
    cards = sorted(path.stem for path in (out / "cards").iterdir())
    assert cards == sorted(path.stem for path in (out / "masks").iterdir())
    card = (out / "cards" / f"{cards[0]}.html").read_text()
    line = json.loads((out / "predictions.jsonl").read_text().splitlines()[1])
    for word in line["words"]:
        assert word["phrase"] in card
    assert "left means the left of the image" in card
    assert ("Words by scale" in card) == (model == "stpnet")
