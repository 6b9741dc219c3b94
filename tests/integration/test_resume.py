"""A training that was killed and resumed ends with the weights of an unbroken one."""

from __future__ import annotations

import csv
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lexiseg import describe
from lexiseg.data.phantom import write_phantom
from lexiseg.errors import DataError
from lexiseg.runs.manifest import TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.training import loop, plan
from lexiseg.training import resume as continuing
from lexiseg.training.steps.segmentation_module import SegmentationModule

SCRIPT = Path(__file__).parent / "tiny_training.py"


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what the script replaces in this process end with the test; one thread, as in the script's own."""
    for module in (plan, continuing):
        monkeypatch.setattr(module, "load_text_encoder", module.load_text_encoder)
    for name in ("SEGMENT_STEPS", "_MIN_SEGMENT_STEPS"):
        monkeypatch.setattr(loop, name, getattr(loop, name))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "data"
    write_phantom(folder, num_train=16, num_val=4, num_test=2, size=64, seed=2)
    return folder


def train(*args: Any, **options: Any) -> Run:
    run: Run = runpy.run_path(str(SCRIPT))["train"](*args, **options)
    return run


def states(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "checkpoint.ckpt", weights_only=True))


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "minutes"} for row in csv.DictReader(file)]


def assert_equal_runs(a: Path, b: Path) -> None:
    first, second = states(a), states(b)
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    kept, again = (load_file(folder / "weights.safetensors") for folder in (a, b))
    assert all(torch.equal(value, again[name]) for name, value in kept.items())
    assert history(a) == history(b)
    manifests = [json.loads((folder / "run.json").read_text())["training"] for folder in (a, b)]
    for key in ("finished", "steps", "selected_step", "validation"):
        assert manifests[0][key] == manifests[1][key]


def train_until_killed(*arguments: object) -> None:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("stpnet", "reports"),
        ("stpnet", "none"),
        ("stpnet", "a description file"),
        ("cotexnet", "reports"),
    ],
)
def test_a_killed_and_resumed_training_equals_an_unbroken_one(
    tiny_data: Path, tmp_path: Path, model: str, text: str
) -> None:
    if text == "a description file":
        text = str(describe(tiny_data, tmp_path / "words.jsonl", source="reports").path)
    unbroken = train(tiny_data, tmp_path / "unbroken", text, model=model)
    assert unbroken.manifest.training.steps == 8
    killed = tmp_path / "killed"
    for step, more in ((1, []), (5, ["resume"])):  # before the first checkpoint, and in a later segment
        train_until_killed(tiny_data, killed, text, f"die_at={step}", f"model={model}", *more)
        assert (killed / "checkpoint.ckpt").exists() == (step == 5)
    assert Run.open(killed).manifest.training.finished is False
    resumed = train(tiny_data, killed, text, resume=True)
    assert resumed.manifest.training.finished is True
    assert len(history(killed)) == 4
    assert_equal_runs(unbroken.path, killed)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
def test_a_training_with_pseudo_labels_goes_on_from_each_stage(
    tiny_data: Path, tmp_path: Path, model: str
) -> None:
    steps = {"teacher_steps": 4}  # two segments
    few: dict[str, Any] = {"masks": 0.4, "unmasked": "words", "model": model, **steps}
    unbroken = train(tiny_data, tmp_path / "unbroken", "reports", **few)
    killed = tmp_path / "killed"
    teachers, labels = killed / "teachers", killed / "pseudo_labels.safetensors"
    options = (tiny_data, killed, "reports", f"model={model}", "masks=0.4", f"fields={json.dumps(steps)}")
    train_until_killed(*options, "die_at=1")
    assert not list(teachers.glob("*.safetensors"))
    train_until_killed(*options, "resume", "die_in=second_labeller")
    assert [file.name for file in teachers.glob("*.safetensors")] == ["teacher_1.safetensors"]
    assert (teachers / "teacher_2" / "checkpoint.ckpt").exists()
    train_until_killed(*options, "resume", "die_in=drawing")
    assert len(list(teachers.glob("*.safetensors"))) == 3
    assert not labels.exists()
    train_until_killed(*options, "resume", "die_at=5")
    assert labels.exists()
    assert (killed / "checkpoint.ckpt").exists()
    resumed = train(tiny_data, killed, "reports", resume=True)
    assert resumed.manifest.data.masks == unbroken.manifest.data.masks
    assert resumed.manifest.data.masks.teacher is not None
    assert labels.read_bytes() == (unbroken.path / labels.name).read_bytes()
    assert not teachers.exists()
    assert_equal_runs(unbroken.path, killed)


#: Three image sizes in 8 steps: 64 px, 96 px from step 3 on, 128 px from step 6 on.
PHASES: dict[str, Any] = {
    "image_size": 128, "main_size": 96, "small_first": 0.3, "full_last": 0.3, "freeze_early": False,
    "selection": "size_standardised_dice", "augment": {"elastic": 1, "noise": 1, "cutout": 1},
}  # fmt: skip


@pytest.mark.slow
def test_a_training_in_phases_goes_on_in_each_of_them(tiny_data: Path, tmp_path: Path) -> None:
    unbroken = train(tiny_data, tmp_path / "unbroken", "reports", **PHASES)
    assert unbroken.manifest.image_size == 128
    assert unbroken.manifest.training.selection == "size_standardised_dice"
    assert unbroken.finished_training.validation.dice_size_standardised is not None
    scores = {int(row["step"]): float(row["val/dice_size_standardised"]) for row in unbroken.history}
    assert scores[unbroken.finished_training.selected_step] == max(scores.values())
    killed = tmp_path / "killed"
    for step, more in ((2, []), (5, ["resume"]), (7, ["resume"])):
        fields = [] if more else [f"fields={json.dumps(PHASES)}"]
        train_until_killed(tiny_data, killed, "reports", f"die_at={step}", *fields, *more)
    train(tiny_data, killed, "reports", resume=True)
    assert_equal_runs(unbroken.path, killed)


@pytest.mark.slow
def test_averaged_weights_go_on_where_gradients_are_added_up(tiny_data: Path, tmp_path: Path) -> None:
    """The averaged weights move where the weights change, which is in every second step."""
    fields = {"accumulate": 2, "ema_decay": 0.9}
    unbroken = train(tiny_data, tmp_path / "unbroken", "none", **fields)
    killed = tmp_path / "killed"
    train_until_killed(tiny_data, killed, "none", "die_at=5", f"fields={json.dumps(fields)}")
    train(tiny_data, killed, "none", resume=True)
    assert_equal_runs(unbroken.path, killed)


@pytest.mark.slow
def test_a_training_with_teachers_goes_on_from_each_stage(tiny_data: Path, tmp_path: Path) -> None:
    teachers = [
        str(train(tiny_data, tmp_path / f"teacher{seed}", "reports", seed=seed).path) for seed in (1, 2)
    ]
    fields = {"teachers": teachers}
    unbroken = train(tiny_data, tmp_path / "unbroken", "reports", **fields)
    killed = tmp_path / "killed"
    train_until_killed(tiny_data, killed, "reports", f"fields={json.dumps(fields)}", "die_in=second_run")
    drawn = killed / "teachers" / "run_1.safetensors"
    first = drawn.stat().st_mtime_ns
    assert not (killed / "teachers" / "run_2.safetensors").exists()
    train_until_killed(tiny_data, killed, "reports", "resume", "die_at=5")
    assert drawn.stat().st_mtime_ns == first
    train(tiny_data, killed, "reports", resume=True)
    assert_equal_runs(unbroken.path, killed)
    assert "train/soft" in history(killed)[-1]
    assert not drawn.exists()


@pytest.mark.slow
def test_a_training_killed_after_its_last_step_only_ends(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last checkpoint and the end there is the scoring of all validation cases."""
    finished = train(tiny_data, tmp_path / "run", "none")
    early = tmp_path / "early"
    shutil.copytree(finished.path, early)
    Run.open(early).updated(training=TrainingRecord(finished=False, seed=5))

    def no_step(self: object, batch: object, batch_idx: int) -> None:
        raise AssertionError("a finished training took another step")

    monkeypatch.setattr(SegmentationModule, "training_step", no_step)
    train(tiny_data, early, "none", resume=True)
    assert_equal_runs(finished.path, early)


@pytest.mark.slow
def test_data_workers_change_nothing(tiny_data: Path, tmp_path: Path) -> None:
    alone = train(tiny_data, tmp_path / "alone", "none", workers=0)
    helped = train(tiny_data, tmp_path / "helped", "none", workers=2)
    first, second = load_file(alone.weights_file), load_file(helped.weights_file)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


class Dying:
    """Training examples whose reader dies, or meets a broken file."""

    def __init__(self, *args: Any, **options: Any) -> None: ...

    def __len__(self) -> int:
        return 16

    def __getitem__(self, key: Any) -> Any:
        os._exit(3)


class Broken(Dying):
    def __getitem__(self, key: Any) -> Any:
        raise DataError("The image lung.png is truncated. Restore it, or remove it.", code="LEX-DATA-012")


@pytest.mark.slow
def test_a_worker_that_dies_is_reported(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TrainingExamples", Dying)
    with pytest.raises(
        DataError,
        match=r"A data worker process ended: .*exited unexpectedly.*--resume "
        r"--workers 0",
    ):
        train(tiny_data, tmp_path / "run", "none", workers=1)


@pytest.mark.slow
def test_the_error_of_a_worker_is_told_without_its_traceback(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TrainingExamples", Broken)
    with pytest.raises(DataError, match=r"^The image lung\.png is truncated\. Restore it, or remove it\."):
        train(tiny_data, tmp_path / "run", "none", workers=1)
