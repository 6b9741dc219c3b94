"""Killed, interrupted and resumed."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import Command, Trained, finish, shell, start
from safetensors.torch import load_file
from small_data import leftovers

INTERRUPTED = 130

#: 24 images, 4 a step: 78 steps, saved after 25, 50, 75 and 78; the image size changes after 39.
EPOCHS = 13


def wait_for(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    """Wait until something has happened to a running command."""
    deadline = time.monotonic() + 300
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        if time.monotonic() > deadline:
            process.send_signal(signal.SIGABRT)  # faulthandler then says where it hangs
            raise AssertionError(f"waited in vain: {process.communicate()[1]}")
        time.sleep(0.01)


def saved_after(run: Path, previous: int) -> Callable[[], bool]:
    """Return whether the run's checkpoint is younger than `previous`."""
    file = run / "checkpoint.ckpt"
    return lambda: file.is_file() and file.stat().st_mtime_ns > previous


class TestKill:
    @pytest.fixture(scope="class")
    def runs(
        self, phantom: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Path, Path]:
        """Return a run without a break, and one killed twice in the middle, of the same seed."""
        folder = tmp_path_factory.mktemp("resume")
        whole, broken = folder / "whole", folder / "broken"
        options = ("--epochs", EPOCHS, "--seed", 3, "--config", tiny_config)
        done = shell("train", phantom, "--out", whole, *options)
        assert done.code == 0, done.stderr
        process = start("train", phantom, "--out", broken, *options)
        before = 0
        for _ in range(2):
            wait_for(process, saved_after(broken, before))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "it must be killed while it trains"
            assert not json.loads((broken / "run.json").read_text())["training"]["finished"]
            before = (broken / "checkpoint.ckpt").stat().st_mtime_ns
            process = start("train", phantom, "--out", broken, "--resume")
        resumed = finish(process)
        assert resumed.code == 0, resumed.stderr
        assert (broken / "checkpoint.ckpt").stat().st_mtime_ns > before
        return whole, broken

    def test_selected_weights_are_identical(self, runs: tuple[Path, Path]) -> None:
        whole, broken = (load_file(run / "weights.safetensors") for run in runs)
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[name], broken[name]) for name in whole)

    def test_last_weights_and_optimiser_are_identical(self, runs: tuple[Path, Path]) -> None:
        whole, broken = (
            torch.load(run / "checkpoint.ckpt", map_location="cpu", weights_only=True) for run in runs
        )
        assert whole["state_dict"].keys() == broken["state_dict"].keys()
        assert all(torch.equal(whole["state_dict"][n], broken["state_dict"][n]) for n in whole["state_dict"])
        ours, theirs = ([state["state"] for state in saved["optimizer_states"]] for saved in (whole, broken))
        assert len(ours) == len(theirs) > 0
        for a, b in zip(ours, theirs, strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[i]["exp_avg"], b[i]["exp_avg"]) for i in a)

    def test_history_is_whole(self, runs: tuple[Path, Path]) -> None:
        rows = []
        for run in runs:
            with open(run / "history.csv", newline="") as file:
                rows.append(
                    [{k: v for k, v in row.items() if k != "minutes"} for row in csv.DictReader(file)]
                )
        assert [row["step"] for row in rows[0]] == ["25", "50", "75", "78"]
        assert rows[0] == rows[1]

    def test_manifest_is_the_same(self, runs: tuple[Path, Path]) -> None:
        whole, broken = (json.loads((run / "run.json").read_text()) for run in runs)
        assert whole["training"]["validation"] == broken["training"]["validation"]
        assert whole["training"]["selected_step"] == broken["training"]["selected_step"]
        assert whole["review_below"] == broken["review_below"]


class TestInterruptedTraining:
    def test_after_a_checkpoint(self, phantom: Path, tiny_config: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        process = start("train", phantom, "--out", run, "--epochs", 500, "--config", tiny_config)
        wait_for(process, saved_after(run, 0))
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
        assert outcome.code == INTERRUPTED, outcome.stderr
        assert outcome.stderr == (
            f"Interrupted. Continue with: lexiseg train {phantom} --out {run} --resume\n"
        )
        assert leftovers(run) == []
        assert load_file(run / "weights.safetensors")
        assert torch.load(run / "checkpoint.ckpt", map_location="cpu", weights_only=True)["state_dict"]
        assert json.loads((run / "run.json").read_text())["training"]["finished"] is False

    def test_before_the_first_step(self, phantom: Path, tiny_config: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        process = start("train", phantom, "--out", run, "--config", tiny_config, PYTHONUNBUFFERED="1")
        assert process.stdout is not None
        assert "Patient ids" in process.stdout.readline()  # the first thing said, long before the run folder
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
        assert outcome.code == INTERRUPTED, outcome.stderr
        assert outcome.stderr == "Interrupted. Nothing was written yet.\n"
        assert not run.exists()

    def test_twice_before_the_first_checkpoint(
        self, phantom: Path, tiny_config: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        process = start("train", phantom, "--out", run, "--epochs", 500, "--config", tiny_config)
        wait_for(process, (run / "run.json").is_file)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        outcome = finish(process)
        assert outcome.code == INTERRUPTED, outcome.stderr
        assert outcome.stderr.startswith("Interrupted. Continue with: lexiseg train")
        assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
        assert leftovers(run) == []
        assert not (run / "weights.safetensors").exists()


def test_interrupted_prediction(cli: Command, trained: Trained, images: Path, tmp_path: Path) -> None:
    many, out = tmp_path / "many", tmp_path / "out"
    many.mkdir()
    source = sorted(images.iterdir())[0]
    # What an earlier, whole prediction left must not pass for the result of an interrupted one.
    assert cli("predict", trained.run, source, "--out", out).code == 0
    assert (out / "predictions.jsonl").is_file()
    for number in range(4000):
        shutil.copy(source, many / f"{number}.png")
    process = start("predict", trained.run, many, "--out", out)
    partial = out / "predictions.jsonl.partial"
    wait_for(process, lambda: partial.is_file() and partial.stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert outcome.code == INTERRUPTED, outcome.stderr
    assert outcome.stderr.startswith(f"Interrupted. The masks so far are in {out / 'masks'}.")
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    assert partial.is_file()
    assert [path for path in leftovers(out) if path != partial] == []
    assert 0 < len(list((out / "masks").iterdir())) < 4000
    assert not (out / "predictions.jsonl").exists()
