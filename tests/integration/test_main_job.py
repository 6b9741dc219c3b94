"""The main job by command line: check, train, evaluate, predict."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, Trained, shell
from PIL import Image
from small_data import leftovers, truncate

CHEST = ["laterality", "count", "left", "right"]


class TestCheck:
    def test_json(self, cli: Command, phantom: Path) -> None:
        outcome = cli("data", "check", phantom, "--json")
        assert outcome.code == 0
        report = json.loads(outcome.stdout)
        assert report["ok"] is True
        assert report["layout"] == "published"
        assert report["samples"] == {"train": 24, "val": 6, "test": 6}
        assert report["side"] == "image"
        assert report["reports_read"] == 1.0
        assert set(report["agreement"]) == set(CHEST)

    def test_table_names_the_side(self, cli: Command, phantom: Path) -> None:
        outcome = cli("data", "check", phantom)
        assert outcome.code == 0
        assert re.search(r"Side: .*image", outcome.stdout)
        assert "Usable:" in outcome.stdout

    def test_errors_end_with_code_1(self, cli: Command, folders: Path) -> None:
        truncate(sorted((folders / "images").iterdir())[0])
        sorted((folders / "masks").iterdir())[-1].unlink()
        outcome = cli("data", "check", folders, "--json")
        assert outcome.code == 1
        report = json.loads(outcome.stdout)
        assert report["ok"] is False
        codes = {found["code"] for found in report["findings"] if found["severity"] == "error"}
        assert {"unreadable-image", "missing-mask"} <= codes


class TestTrain:
    def test_says_what_it_does(self, trained: Trained) -> None:
        said = trained.outcome.stdout
        assert re.search(r"Memory: about [\d.]+ GiB", said)
        assert re.search(r"step 12: validation Dice \d\.\d+", said)
        assert all(f"{factor} " in said for factor in CHEST)
        assert f"Next: lexiseg calibrate {trained.run}" in said
        assert trained.outcome.stderr == ""

    def test_run_folder(self, trained: Trained) -> None:
        # Statistics of the training images need more validation images than this data set has.
        names = {path.name for path in trained.run.iterdir()}
        assert names == {
            "run.json",
            "config.yaml",
            "weights.safetensors",
            "bank.safetensors",
            "history.csv",
            "splits.json",
            "image_hashes.json",
            "model_card.md",
            "checkpoint.ckpt",
            "tensorboard",
            "zone_atlas.safetensors",
        }
        manifest = json.loads((trained.run / "run.json").read_text())
        assert manifest["text"] == "reports"
        assert manifest["side"] == "image"
        assert manifest["training"]["finished"] is True
        assert manifest["training"]["steps"] == 12
        assert manifest["image_size"] == 64
        assert [factor["name"] for factor in manifest["vocabulary"]["factors"]] == CHEST
        assert "not for clinical use" in (trained.run / "model_card.md").read_text().lower()

    def test_logs(self, trained: Trained) -> None:
        with open(trained.run / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in rows] == ["12"]
        assert {"val/dice", *(f"val/retrieval/{factor}" for factor in CHEST)} <= rows[0].keys()
        assert list((trained.run / "tensorboard").glob("events.*"))

    @pytest.mark.parametrize("text", ["concepts", "none"])
    def test_other_words(
        self, cli: Command, phantom: Path, images: Path, tiny_config: Path, tmp_path: Path, text: str
    ) -> None:
        run = tmp_path / "run"
        options = ("--text", text, "--epochs", 1, "--config", tiny_config)
        outcome = cli("train", phantom, "--out", run, *options)
        assert outcome.code == 0, outcome.stderr
        assert json.loads((run / "run.json").read_text())["text"] == text
        assert (run / "bank.safetensors").exists() == (text != "none")
        evaluated = cli("evaluate", run, phantom, "--out", tmp_path / "evaluation")
        assert evaluated.code == 0, evaluated.stderr
        metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
        assert list(metrics["retrieval"]) == (CHEST if text == "concepts" else [])
        predicted = cli("predict", run, images, "--out", tmp_path / "predicted")
        assert predicted.code == 0, predicted.stderr
        assert ("Left and right in all words" in predicted.stdout) == (text == "concepts")
        assert ("flagged" in predicted.stdout) == (text == "concepts")

    def test_finished_run_has_nothing_to_resume(self, cli: Command, phantom: Path, trained: Trained) -> None:
        before = (trained.run / "weights.safetensors").stat().st_mtime_ns
        outcome = cli("train", phantom, "--out", trained.run, "--resume")
        assert outcome.code == 0
        assert "nothing to resume" in outcome.stdout
        assert (trained.run / "weights.safetensors").stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def evaluation(phantom: Path, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an evaluation of the test split, made by its command."""
    out = tmp_path_factory.mktemp("evaluation") / "test"
    outcome = shell("evaluate", trained.run, phantom, "--split", "test", "--out", out)
    assert outcome.code == 0, outcome.stderr
    assert re.search(r"Dice, mean of 6 cases: \d\.\d{4} \(95 % interval", outcome.stdout)
    assert re.search(r"pooled over all pixels: \d\.\d{4}", outcome.stdout)
    assert str(out / "report.html") in outcome.stdout
    return out


class TestEvaluate:
    def test_metrics(self, evaluation: Path) -> None:
        metrics = json.loads((evaluation / "metrics.json").read_text())
        for name in ("dice", "iou", "hd95", "surface_dice"):
            assert set(metrics[name]) == {"mean", "ci95"}
            low, high = metrics[name]["ci95"]
            assert low <= metrics[name]["mean"] <= high
        assert 0 <= metrics["pooled_iou"] <= metrics["pooled_dice"] <= 1
        assert [stratum["tercile"] for stratum in metrics["by_size"]] == ["small", "medium", "large"]
        assert sum(stratum["n"] for stratum in metrics["by_size"]) == 6
        assert list(metrics["retrieval"]) == CHEST
        for scores in metrics["retrieval"].values():
            assert 0 <= scores["accuracy"] <= 1
            assert 0 <= scores["majority"] <= scores["majority_of_split"] <= 1
        assert {"mean", "ci95"} <= metrics["agreement"].keys()
        assert metrics["failed"] == []

    def test_cases(self, evaluation: Path) -> None:
        metrics = json.loads((evaluation / "metrics.json").read_text())
        with open(evaluation / "cases.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6
        assert {"id", "dice", "iou", "hd95", "surface_dice", "tercile", "side"} <= rows[0].keys()
        assert {f"{kind}_{name}" for kind in ("retrieved", "reference") for name in CHEST} <= rows[0].keys()
        mean = sum(float(row["dice"]) for row in rows) / 6
        assert math.isclose(mean, metrics["dice"]["mean"], abs_tol=1e-5)

    def test_report(self, evaluation: Path) -> None:
        page = (evaluation / "report.html").read_text(encoding="utf-8")
        assert "Research software, not a medical device, not for clinical use." in page
        assert "Dice, mean of cases" in page
        assert "Dice, pooled" in page
        assert "left means the left of the image" in page
        # One file: whatever it shows is inside it.
        sources = re.findall(r"""(?:\bsrc|\bhref)\s*=\s*["']?([^"'\s>]+)|url\(["']?([^)"']+)""", page)
        sources = [of_tag or of_style for of_tag, of_style in sources]
        assert sources
        assert all(source.startswith(("data:", "#")) for source in sources), sources
        # The script of the table of cases, and no other.
        assert page.count("<script") == 1
        assert "script-src &#39;sha256-" in page
        assert "@import" not in page

    def test_leaves_nothing_else(self, evaluation: Path) -> None:
        hidden = {".lexiseg.lock", ".lexiseg-outputs.jsonl"}
        names = {path.name for path in evaluation.iterdir()}
        assert names - hidden == {"metrics.json", "cases.csv", "report.html"}


def lines_of(out: Path) -> list[dict[str, object]]:
    """Return the lines of `predictions.jsonl`."""
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


class TestPredict:
    @pytest.fixture
    def mixed(self, images: Path, tmp_path: Path) -> Path:
        """Return a folder of images that differ in size, in subfolders, one of them broken."""
        folder = tmp_path / "mixed"
        sizes = [(50, 70), (96, 96), (130, 33)]
        for number, (size, source) in enumerate(zip(sizes, sorted(images.iterdir()), strict=False)):
            path = folder / f"exam{number}" / "front.png"
            path.parent.mkdir(parents=True)
            with Image.open(source) as image:
                image.resize(size[::-1]).save(path)
        shutil.copy(sorted(images.iterdir())[0], folder / "broken.png")
        truncate(folder / "broken.png")
        return folder

    def test_folder_with_a_broken_image(
        self, cli: Command, trained: Trained, mixed: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        outcome = cli("predict", trained.run, mixed, "--out", out, "--overlays", "--batch-size", 2)
        assert outcome.code == 1
        assert "Traceback" not in outcome.stderr
        skipped, error = outcome.stderr.splitlines()
        assert skipped.startswith("Skipped: ")
        assert str(mixed / "broken.png") in skipped
        assert error.startswith("Error: 1 of 4 images could not be read")
        assert "3 of 4 images segmented" in outcome.stdout
        assert "Left and right in all words are those of the image as the file stores it." in outcome.stdout
        for number, size in enumerate([(50, 70), (96, 96), (130, 33)]):
            with Image.open(out / "masks" / f"exam{number}" / "front.png") as mask:
                assert mask.size == size[::-1]
                assert set(np.unique(np.asarray(mask))) <= {0, 255}
            assert (out / "overlays" / f"exam{number}" / "front.png").is_file()
        assert not (out / "masks" / "broken.png").exists()
        assert leftovers(out) == []
        again = cli("predict", trained.run, mixed, "--out", out)
        assert again.code == 1
        assert len(lines_of(out)) == 4

    def test_predictions_file(self, cli: Command, trained: Trained, mixed: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        cli("predict", trained.run, mixed, "--out", out)
        broken, *lines = lines_of(out)
        assert broken.keys() == {"schema_version", "image", "error", "code"}
        assert broken["image"] == str(mixed / "broken.png")
        for number, line in enumerate(lines):
            assert list(line) == [
                "schema_version",
                "image",
                "name",
                "mask",
                "size",
                "exif_orientation",
                "area_px",
                "area_mm2",
                "side",
                "words",
                "measured",
                "agreement",
                "flagged",
                "reasons",
                "expected_dice",
                "dicom",
                "not_written",
                "engine",
                "unlike_training_images",
                "archive",
            ]
            assert line["mask"] == f"masks/exam{number}/front.png"
            mask = np.asarray(Image.open(out / str(line["mask"])))
            assert line["size"] == list(mask.shape)
            assert sum(line["area_px"].values()) == int((mask > 0).sum())
            assert line["side"] == "image"
            assert [word["factor"] for word in line["words"]] == CHEST
            for word in line["words"]:
                assert word.keys() == {"factor", "phrase", "confidence", "runners_up"}
                assert 0 <= word["confidence"] <= 1
            assert 0 <= line["agreement"] <= 1
            assert isinstance(line["flagged"], bool)

    def test_files_and_globs(self, cli: Command, trained: Trained, images: Path, tmp_path: Path) -> None:
        first = sorted(images.iterdir())[0]
        outcome = cli("predict", trained.run, first, images / "*.png", "--out", tmp_path / "out")
        assert outcome.code == 0, outcome.stderr
        assert "6 of 6 images segmented" in outcome.stdout
        assert len(list((tmp_path / "out" / "masks").iterdir())) == 6

    def test_batch_size_changes_nothing(
        self, cli: Command, trained: Trained, images: Path, tmp_path: Path
    ) -> None:
        for size in (1, 4):
            cli("predict", trained.run, images, "--out", tmp_path / f"by{size}", "--batch-size", size)
        one, four = (
            {path.name: path.read_bytes() for path in (tmp_path / f"by{size}" / "masks").iterdir()}
            for size in (1, 4)
        )
        assert len(one) == 6
        assert one == four
