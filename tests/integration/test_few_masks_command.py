"""Few masks, words for all: from the command line to a model that needs neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command
from safetensors.torch import load_file

from lexiseg.data import open_dataset

USAGE = 2


@pytest.fixture
def few(folders: Path) -> Path:
    """A data set of 8 training images, of which all but half have a mask that is no picture."""
    for sample in open_dataset(folders, masks=0.5).split("train"):
        if sample.mask is None:
            (folders / "masks" / f"{sample.id}.png").write_bytes(b"hidden")
    return folders


def test_hidden_masks_are_never_read_and_the_model_needs_no_words(
    cli: Command, few: Path, tmp_path: Path, tiny_config: Path
) -> None:
    run = tmp_path / "run"
    options = ("--epochs", 2, "--config", tiny_config, "--masks", 0.5)
    outcome = cli("train", few, "--out", run, "--unmasked", "words", *options)
    assert outcome.code == 0, outcome.stderr
    said = " ".join(outcome.stdout.split())
    shown = sum(sample.mask is not None for sample in open_dataset(few, masks=0.5).split("train"))
    assert f"{shown} of 8 training images have a mask (" in said
    assert " %); for the others, teachers draw masks that fit their words" in said
    for stage in ("Teacher 1 of 3", "Teacher 3 of 3", "Teachers: with words, Dice", "Pseudo labels: 100 %"):
        assert stage in said
    manifest = json.loads((run / "run.json").read_text())
    teacher = manifest["data"]["masks"].pop("teacher")
    assert (teacher["folds"], teacher["images"], teacher["used"]) == (3, shown, True)
    assert manifest["zone_atlas"]["images"] == shown
    weights = load_file(run / "weights.safetensors")
    assert not [name for name in weights if "word_map" in name]
    assert manifest["data"]["masks"] == {
        "share": 0.5, "with_mask": shown, "without_mask": 8 - shown, "left_out": 0, "unmasked": "words",
    }  # fmt: skip
    assert "train/pseudo" in (run / "history.csv").read_text()
    outcome = cli("predict", run, few / "images", "--out", tmp_path / "masks")
    assert outcome.code == 0, outcome.stderr
    outcome = cli("calibrate", run, few)
    assert outcome.code == 0, outcome.stderr
    outcome = cli("evaluate", run, few, "--out", tmp_path / "test")
    assert outcome.code == 0, outcome.stderr


def test_masks_missing_in_the_folder(cli: Command, folders: Path, tmp_path: Path, tiny_config: Path) -> None:
    for name in json.loads((folders / "splits.json").read_text())["train"][:3]:
        (folders / "masks" / f"{name}.png").unlink()
    options = ("--epochs", 1, "--config", tiny_config)
    outcome = cli("train", folders, "--out", tmp_path / "all", *options)
    assert outcome.code == 0, outcome.stderr
    said = " ".join(outcome.stdout.split())
    assert "5 of 8 training images have a mask (62.5 %); for the others, teachers draw masks" in said
    assert "Gain " in said  # of the words, by which the default decides
    outcome = cli("train", folders, "--out", tmp_path / "some", "--unmasked", "leave_out", *options)
    assert outcome.code == 0, outcome.stderr
    assert "the others are left out" in " ".join(outcome.stdout.split())
    outcome = cli("calibrate", tmp_path / "all", folders)
    assert outcome.code == 0, outcome.stderr
    outcome = cli("evaluate", tmp_path / "all", folders, "--split", "test", "--out", tmp_path / "test")
    assert outcome.code == 0, outcome.stderr
    check = cli("data", "check", folders, "--json")
    assert check.code == 0, check.stdout
    found = {finding["code"]: finding for finding in json.loads(check.stdout)["findings"]}
    assert (found["missing-mask"]["severity"], found["missing-mask"]["count"]) == ("warning", 3)


def test_a_share_must_be_one(cli: Command, folders: Path, tmp_path: Path) -> None:
    for share in ("0", "1.5"):
        cli("train", folders, "--out", tmp_path / "run", "--masks", share).refuses(USAGE, "masks")
