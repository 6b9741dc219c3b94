"""Every layout and kind of image trains, is evaluated and predicted by command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Command
from PIL import Image
from small_data import (
    deep,
    phantom_cases,
    rgb,
    write_csvs,
    write_folders,
    write_published,
)

#: Named as the data set makers: the folder goes in, the layout and the words' source come out.
KINDS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "published-xlsx": (lambda f: write_published(f, phantom_cases(), ending=".xlsx"), "published", "reports"),
    "published-csv": (lambda f: write_published(f, phantom_cases(), ending=".csv"), "published", "reports"),
    "folders-subfolders": (
        lambda f: write_folders(f, phantom_cases(), split="subfolders"),
        "folders",
        "reports",
    ),
    "folders-splits-json": (lambda f: write_folders(f, phantom_cases()), "folders", "reports"),
    "folders-no-split": (lambda f: write_folders(f, phantom_cases(), split=None), "folders", "reports"),
    "folders-no-sheet": (lambda f: write_folders(f, phantom_cases(), sheet=False), "folders", "concepts"),
    "csvs": (lambda f: write_csvs(f, phantom_cases()), "csvs", "concepts"),
    "tiff-16-bit": (
        lambda f: write_folders(f, phantom_cases(), ending=".tif", pixels=deep),
        "folders",
        "reports",
    ),
    "rgb": (lambda f: write_folders(f, phantom_cases(), pixels=rgb, sheet=False), "folders", "concepts"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kind(cli: Command, kind: str, tiny_config: Path, tmp_path: Path) -> None:
    write, layout, words = KINDS[kind]
    data, run = write(tmp_path / "data"), tmp_path / "run"
    checked = cli("data", "check", data, "--json")
    report = json.loads(checked.stdout)
    assert report["layout"] == layout
    assert sum(report["samples"].values()) == 14
    assert [
        f for f in report["findings"] if f["severity"] == "error" and f["code"] != "side-convention"
    ] == []

    trained = cli("train", data, "--out", run, "--epochs", 1, "--config", tiny_config)
    assert trained.code == 0, trained.stderr
    assert trained.stderr == ""
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["text"] == words
    assert manifest["data"]["layout"] == layout
    assert manifest["class_names"] == ["background", "lesion"]

    evaluated = cli("evaluate", run, data, "--out", tmp_path / "evaluation")
    assert evaluated.code == 0, evaluated.stderr
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert metrics["num_cases"] == report["samples"]["test"]
    assert metrics["failed"] == []

    predicted = cli("predict", run, data, "--out", tmp_path / "out", "--overlays")
    assert predicted.code == 0, predicted.stderr


class TestAssumptions:
    def test_a_made_split_is_said_and_written(self, cli: Command, tiny_config: Path, tmp_path: Path) -> None:
        data = write_folders(tmp_path / "data", phantom_cases(), split=None)
        outcome = cli("train", data, "--out", tmp_path / "run", "--epochs", 1, "--config", tiny_config)
        assert "There was no split: images were split by patient with seed 0" in outcome.stdout
        ours = json.loads((tmp_path / "run" / "splits.json").read_text())
        theirs = json.loads((data / "splits.json").read_text())
        assert {name: sorted(ours[name]) for name in ours} == {name: theirs[name] for name in ours}

    def test_left_out_data_sets_are_said(self, cli: Command, tmp_path: Path) -> None:
        data = write_csvs(tmp_path / "data", phantom_cases())
        outcome = cli("data", "check", data, "--json")
        assert "CAMUS (1 row)" in json.dumps(json.loads(outcome.stdout)["findings"])

    def test_scaling_of_16_bits_is_said(self, cli: Command, tmp_path: Path) -> None:
        data = write_folders(tmp_path / "data", phantom_cases(), ending=".tif", pixels=deep)
        outcome = cli("data", "check", data, "--json")
        assert "more than 8 bits are scaled" in outcome.stdout


def test_three_classes(cli: Command, tiny_config: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    made = cli("data", "phantom", data, "--train", 8, "--val", 3, "--test", 3, "--size", 64, "--classes", 2)
    assert made.code == 0, made.stderr
    trained = cli("train", data, "--out", run, "--epochs", 1, "--config", tiny_config)
    assert trained.code == 0, trained.stderr
    assert json.loads((run / "run.json").read_text())["class_names"] == ["background", "opacity", "nodule"]
    assert cli("evaluate", run, data, "--out", tmp_path / "evaluation").code == 0
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert set(metrics["by_class"]) == {"opacity", "nodule"}
    assert "dice_nodule" in (tmp_path / "evaluation" / "cases.csv").read_text().splitlines()[0]
    assert cli("predict", run, data / "images", "--out", tmp_path / "out").code == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert all(set(line["area_px"]) == {"opacity", "nodule"} for line in lines)
    for line in lines:
        labels = np.asarray(Image.open(tmp_path / "out" / line["mask"]))
        assert set(np.unique(labels)) <= {0, 1, 2}
        assert line["area_px"]["nodule"] == int((labels == 2).sum())


class TestUnknownGrammar:
    SENTENCES = (
        "The nuclei density in the upper left is high.",
        "The nuclei density in the upper right is high.",
        "The nuclei density in the lower left is low.",
        "The nuclei density in the lower right is low.",
    )

    def test_becomes_one_factor(self, cli: Command, tiny_config: Path, tmp_path: Path) -> None:
        sentences = self.SENTENCES
        data = write_folders(
            tmp_path / "data", phantom_cases(), sheet=lambda number, case: sentences[number % len(sentences)]
        )
        run = tmp_path / "run"
        trained = cli("train", data, "--out", run, "--epochs", 1, "--config", tiny_config)
        assert trained.code == 0, trained.stderr
        assert (
            "No vocabulary is chosen for the sheet: its 4 distinct sentences form one factor with 4 phrases"
            in trained.stdout
        )
        assert cli("evaluate", run, data, "--out", tmp_path / "evaluation").code == 0
        metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
        assert list(metrics["retrieval"]) == ["sentence"]
        assert cli("predict", run, data / "images", "--out", tmp_path / "out").code == 0
        line = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])
        assert [word["factor"] for word in line["words"]] == ["sentence"]
        assert line["words"][0]["phrase"] in sentences

    def test_more_than_32_sentences_are_grouped(
        self, cli: Command, tiny_config: Path, tmp_path: Path
    ) -> None:
        places = [f"{v} {h}" for v in ("upper", "lower") for h in ("left", "right")]
        things = ("nuclei", "gland", "stroma", "cell", "vessel", "fibre", "lumen", "crypt", "mucus")
        sentences = [f"The {thing} density in the {place} is high." for thing in things for place in places]
        assert len(sentences) == 36
        data = write_folders(
            tmp_path / "data",
            phantom_cases(train=36),
            sheet=lambda number, case: sentences[number % len(sentences)],
        )
        run = tmp_path / "run"
        trained = cli("train", data, "--out", run, "--epochs", 1, "--config", tiny_config)
        assert trained.code == 0, trained.stderr
        (factor,) = json.loads((run / "run.json").read_text())["vocabulary"]["factors"]
        assert 8 <= len(factor["phrases"]) <= 32
