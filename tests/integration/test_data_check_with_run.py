"""`lexiseg data check --with RUN` and `--folds`, on real files."""

from __future__ import annotations

import json
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from command_line import shell
from rich.console import Console

import lexiseg
from lexiseg.data.phantom import write_phantom
from lexiseg.errors import RunError
from lexiseg.runs.manifest import TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.studies import fold_suspicions
from lexiseg.systems import registry
from refusals import refuses
from registry_copy import copy_registry
from toy_system import TOY

USAGE, RUN = 2, 4
TINY: dict[str, Any] = {
    "model": "toy", "text": "concepts", "steps": 2, "image_size": 32, "batch_size": 4,
    "precision": "fp32", "workers": 0, "accelerator": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suspicions") / "data"
    write_phantom(folder, num_train=8, num_val=4, num_test=4, size=64, seed=1)
    return folder


def test_a_shipped_model_checks_a_data_set(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = shell("data", "check", data, "--with", "covid-xray", "--engine", "torch", "--out", out)
    assert outcome.code == 0, outcome.stderr
    assert "16 cases checked" in outcome.stdout
    assert sorted(file.name for file in out.iterdir() if not file.name.startswith(".")) == [
        "suspicions.csv", "suspicions.html", "suspicions.json",
    ]  # fmt: skip
    record = json.loads((out / "suspicions.json").read_text("utf-8"))
    assert (record["checked"], record["left_out"]) == (16, 0)
    assert record["engine"].startswith("torch ")
    assert [case["rank"] for case in record["cases"]] == list(range(1, 17))
    assert "rank score  error  case: first reason" in outcome.stdout
    assert f"  1  {record['cases'][0]['score']:z5.1f}  {record['cases'][0]['kind']}" in outcome.stdout


def test_options_that_do_not_fit_are_refused(data: Path, tmp_path: Path) -> None:
    check = ("data", "check", data, "--out", tmp_path / "out")
    shell(*check, "--with", "covid-xray", "--folds", 2).refuses(USAGE, "not both")
    shell(*check, "--max-minutes", 1).refuses(USAGE, "Add --folds 5")
    shell(*check, "--engine", "onnx").refuses(USAGE, "Add --with RUN or --folds 5", "[LEX-USE-2001]")
    shell(*check, "--flip-average").refuses(USAGE, "[LEX-USE-2001]")
    for more in (("--with", "covid-xray"), ("--folds", 2), ("--engine", "onnx")):
        shell(*check, "--identifying", *more).refuses(USAGE, "in a second call", "[LEX-USE-2056]")
    # Before anything is trained.
    for more, what, instead in (
        (("--engine", "onnx"), "the engine onnx", "--engine torch"),
        (("--engine", "torch", "--precision", "bf16"), "bf16", "--precision fp32"),
    ):
        said = f"which {what} needs. Leave it out, or use {instead}. [LEX-USE-2000]"
        shell(*check, "--folds", 2, *more).refuses(USAGE, said)
    assert not (tmp_path / "out").exists()
    shell(*check, "--with", tmp_path / "nothing").refuses(RUN, "Expected a run folder")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    copy_registry(monkeypatch)
    registry.register(TOY)


@pytest.mark.usefixtures("toy")
def test_folds_are_trained_once_and_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    console = Console(record=True, width=200, file=StringIO())
    found = lexiseg.find_suspicions_by_folds(data, out, folds=2, training=TINY, console=console)
    assert (found.checked, found.left_out, len(found.runs)) == (16, 0, 2)
    assert (out / "suspicions.html").is_file()
    said = console.export_text()
    first, time, *_ = said.splitlines()
    assert first == f"2 folds, a training for each, one after the other. Runs: {out / 'folds'}"
    assert re.fullmatch(
        r"Time: about \S+ s for a training, about \S+ s for 2 trainings on cpu\. --max-minutes limits each "
        r"training\.",
        time,
    )
    places = [said.index(f"Fold {number} of 2: {out / 'folds' / f'fold-{number}'}") for number in (1, 2)]
    assert places[0] < said.index("validation Dice") < places[1]
    trained: list[Path] = []
    monkeypatch.setattr(fold_suspicions, "train_on", lambda *args, **_: trained.append(args[2]))
    again = lexiseg.find_suspicions_by_folds(data, out, folds=2, training=TINY, console=console)
    said = console.export_text()
    assert "2 of them finished before" in said
    assert "Time:" not in said
    assert trained == []
    assert again == found
    with pytest.raises(RunError, match="other folds") as refused:
        lexiseg.find_suspicions_by_folds(data, out, folds=3, training=TINY)
    assert refused.value.code == "LEX-RUN-905"


@pytest.mark.usefixtures("toy")
def test_a_call_goes_on_with_the_settings_of_its_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    options = {**TINY, "fit": "auto", "precision": "auto"}
    lexiseg.find_suspicions_by_folds(data, out, folds=2, training=options)
    second = Run.open(out / "folds" / "fold-2")
    settled = (second.path / "config.yaml").read_text()
    assert "fit: stretch" in settled
    # As a call leaves it that is stopped in the second training.
    second.updated(training=TrainingRecord(finished=False, seed=0))
    (out / "suspicions.json").unlink()
    lexiseg.find_suspicions_by_folds(data, out, folds=2, training={**options, "workers": None})
    assert Run.open(second.path).manifest.training.finished
    assert (second.path / "config.yaml").read_text() == settled
    # Other settings are refused before anything is trained.
    Run.open(second.path).updated(training=TrainingRecord(finished=False, seed=0))
    monkeypatch.setattr(fold_suspicions, "train_on", lambda *_, **__: pytest.fail("trained"))
    changed = {**options, "steps": 8, "seed": 3, "batch_size": 8}
    said = ("fold-1", "batch_size was 4, now 8; seed was 0, now 3; steps was 2, now 8", "another --out")
    with refuses("LEX-RUN-1812", *said):
        lexiseg.find_suspicions_by_folds(data, out, folds=2, training=changed)
    with refuses("LEX-RUN-1812", "fit was 'stretch', now 'pad'"):
        lexiseg.find_suspicions_by_folds(data, out, folds=2, training={**options, "fit": "pad"})


@pytest.mark.parametrize("text", ["concepts", "reports"])
@pytest.mark.usefixtures("toy")
def test_images_without_mask_are_checked_by_their_reports(data: Path, tmp_path: Path, text: str) -> None:
    part = tmp_path / "data"
    shutil.copytree(data, part)
    masks = sorted((part / "Train_Folder" / "labelcol").glob("*.png"))
    for mask in masks[:2]:
        mask.unlink()
    out = tmp_path / "out"
    found = lexiseg.find_suspicions_by_folds(part, out, folds=2, training={**TINY, "text": text})
    assert "Images without a mask: 2 of 16. Of these, only reports are checked." in found.notes
    assert "2 of 16" in (out / "suspicions.html").read_text("utf-8")
    assert found.checked == 16
    assert sum(case.dice is None for case in found.cases) == 2
    # The images without mask do not make other folds of the finished runs.
    again = lexiseg.find_suspicions_by_folds(part, out, folds=2, training={**TINY, "text": text})
    assert again == found
