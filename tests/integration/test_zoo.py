"""The models that come with Lexiseg work right after installation, offline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, shell
from PIL import Image

from lexiseg import load
from lexiseg.errors import RunError
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import model_folder, model_names
from lexiseg.training.config import make_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lexiseg import write_phantom

    folder = tmp_path_factory.mktemp("zoo")
    write_phantom(folder / "data", num_train=1, num_val=1, num_test=1, size=200, seed=3)
    return next((folder / "data" / "Test_Folder" / "img").iterdir())


def test_every_shipped_model_is_small_and_says_what_it_is_for() -> None:
    assert "covid-xray" in model_names()
    for name in model_names():
        folder = model_folder(name)
        assert folder is not None
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 16e6
        card = (folder / "model_card.md").read_text(encoding="utf-8")
        for said in ("not for clinical use", "Limits", "Dice, mean of cases", "seed"):
            assert said in card
        rows = dict(re.findall(r"^\| ([A-Z][^|]*) \| ([^|]+) \|$", card, re.MULTILINE))
        assert "not for any patient" in rows["Intended use"]
        assert rows["Energy"].endswith(" kWh")
        assert "https://" in rows["Licence of the data"]
        assert "clear your use with their owners" in rows["Licence of the data"]


def test_the_cards_command_is_that_of_the_run_and_says_what_it_was_trained_with() -> None:
    for name in model_names():
        run = Run.open(name)
        command = run.manifest.training.command
        assert command in (run.path / "model_card.md").read_text(encoding="utf-8")
        assert command.startswith("lexiseg train DATA --out RUN --config ")
        file, flag, value = command.split()[6:]
        stated = make_config({flag[2:].replace("-", "_"): float(value)}, ROOT / file)
        trained = make_config({}, run.path / "config.yaml")
        settled = {"precision", "workers", "cache"}
        assert stated.model_dump(exclude=settled) == trained.model_dump(exclude=settled)


def test_the_shipped_model_predicts_by_its_name_offline(radiograph: Path, tmp_path: Path) -> None:
    done = shell("predict", "covid-xray", radiograph, "--out", tmp_path / "out", HF_HUB_OFFLINE="1")
    assert done.code == 0, done.stderr
    row = json.loads((tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8"))
    with Image.open(radiograph) as image, Image.open(tmp_path / "out" / row["mask"]) as mask:
        assert mask.size == image.size
    assert {word["factor"] for word in row["words"]} == {"laterality", "count", "left", "right"}


def test_without_out_results_go_to_predictions(
    cli: Command, radiograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("predict", "covid-xray", radiograph)
    assert done.code == 0, done.stderr
    assert "Results: predictions/predictions.jsonl" in done.stdout
    (line,) = (tmp_path / "predictions" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert (tmp_path / "predictions" / json.loads(line)["mask"]).is_file()


def test_the_python_api_takes_the_name_too(radiograph: Path) -> None:
    prediction = load("covid-xray").predict(radiograph)
    assert prediction.mask.shape == (200, 200)
    assert set(np.unique(prediction.mask)) <= {0, 1}


def test_a_folder_of_the_same_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "covid-xray").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="covid-xray is not a run folder"):
        Run.open("covid-xray")


def test_an_unknown_name_lists_the_shipped_models() -> None:
    with pytest.raises(RunError, match="Lexiseg comes with: covid-xray"):
        Run.open("covid-xrays")


def test_nothing_changes_a_shipped_model(radiograph: Path, tmp_path: Path) -> None:
    data = radiograph.parents[2]
    shell("calibrate", "covid-xray", data).refuses(4, "comes with Lexiseg", "copy")
    shell("train", data, "--out", "covid-xray", "--resume").refuses(4, "Expected a run folder")
