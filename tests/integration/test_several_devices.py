"""Training on two processes: the same curve as one process with the same batch."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command_line import environment
from safetensors.numpy import load_file
from tiny_options import TINY

import lexiseg
from lexiseg.training import loop
from lexiseg.training.steps.segmentation_module import SegmentationModule
from refusals import refuses
from tiny_clipseg import write_clipseg

pytestmark = pytest.mark.slow


def curve(run: Path) -> list[dict[str, float]]:
    """Return the rows of a history without the minutes."""
    with open(run / "history.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items() if k != "minutes" and v} for row in csv.DictReader(file)]


#: Fields of TINY that are options of the command; the others are in the file of `config`.
OPTIONS = {"batch_size", "image_size", "encoder", "encoder_weights", "workers", "text"}


def config(folder: Path) -> Path:
    """Write the fields of a small network."""
    path = folder / "tiny.yaml"
    path.write_text("width: 16\nprecision: fp32\naccelerator: cpu\n")
    return path


def tiny(folder: Path) -> list[str]:
    """Return the options of a small training."""
    fields = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if name in OPTIONS]
    return ["--config", str(config(folder)), *fields]


def run_python(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments; it must end with the code."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done


def train(data: Path, out: Path, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Train by the command, which must end with the code."""
    return run_python("-m", "lexiseg", "train", str(data), "--out", str(out), *options, code=code)


def test_two_processes_take_the_steps_of_one(phantom: Path, tmp_path: Path) -> None:
    # By the command, as the other process knows nothing of what tests replace in this one.
    for devices in ("1", "2"):
        train(phantom, tmp_path / devices, "--steps", "6", "--devices", devices, *tiny(tmp_path))
    one, two = curve(tmp_path / "1"), curve(tmp_path / "2")
    assert len(one) == len(two)
    for alone, shared in zip(one, two, strict=True):
        assert alone == pytest.approx(shared, abs=1e-4)
    weights = [load_file(tmp_path / str(devices) / "weights.safetensors") for devices in (1, 2)]
    for name, value in weights[0].items():
        assert abs(value - weights[1][name]).max() < 1e-3, name
    run = lexiseg.Run.open(tmp_path / "2")
    assert run.manifest.training.finished


def test_two_processes_train_the_published_cotexnet_as_one_does(phantom: Path, tmp_path: Path) -> None:
    options = ("--model", "cotexnet", "--preset", "paper", "--steps", "2", "--batch-size", "4")
    start = write_clipseg(tmp_path / "clipseg")
    fields = tmp_path / "fields.yaml"
    fields.write_text("precision: fp32\naccelerator: cpu\nimage_size: 64\nworkers: 0\n")
    for devices in ("1", "2"):
        ranks = ("--devices", devices, "--encoder-weights", str(start), "--config", str(fields))
        train(phantom, tmp_path / devices, *options, *ranks)
    (alone,), (shared,) = curve(tmp_path / "1"), curve(tmp_path / "2")
    assert alone["train/distillation"] > 0
    assert alone == pytest.approx(shared, abs=1e-4)


def test_the_published_stpnet_is_refused_before_a_run_folder_is_made(phantom: Path, tmp_path: Path) -> None:
    fields = tmp_path / "fields.yaml"
    fields.write_text("accelerator: cpu\nworkers: 0\ntext_encoder: minilm\n")
    options = ("--preset", "paper", "--steps", "1", "--batch-size", "4", "--encoder-weights", "none")
    ranks = ("--devices", "2", "--config", str(fields))
    done = train(phantom, tmp_path / "run", *options, *ranks, code=2)
    assert done.stderr.count("LEX-USE-1290") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_torchrun_starts_the_processes(phantom: Path, tmp_path: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = ("-m", "lexiseg", "train", str(phantom), "--out", str(tmp_path / "run"), "--steps", "2")
    done = run_python(*torchrun, *command, *tiny(tmp_path))
    assert done.stdout.count("Validation Dice") == 1
    assert lexiseg.Run.open(tmp_path / "run").manifest.training.finished


def test_a_process_that_is_killed_is_said(phantom: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "lexiseg", "train", str(phantom), "--out", str(tmp_path / "run")),
        *("--steps", "400", "--devices", "2", *tiny(tmp_path)),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        end = time.monotonic() + 280
        while not (tmp_path / "run" / "checkpoint.ckpt").is_file():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.2)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 7, said
    assert "LEX-RES-1282" in said
    assert "--resume" in said
    assert "Traceback" not in said


def test_numbers_that_do_not_fit_are_refused(phantom: Path, tmp_path: Path) -> None:
    with refuses("LEX-USE-1288", "multiple of the 3 processes"):
        lexiseg.train(phantom, tmp_path / "run", steps=1, devices=3, **TINY)
    assert not (tmp_path / "run").exists()


def test_gradients_are_added_up_across_passes(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment of two steps becomes one of three; the last step of the training stands alone."""
    for name in ("SEGMENT_STEPS", "_MIN_SEGMENT_STEPS"):
        monkeypatch.setattr(loop, name, 2)
    changed: list[int] = []
    before = SegmentationModule.on_before_optimizer_step

    def noted(module: SegmentationModule, optimizer: torch.optim.Optimizer) -> None:
        changed.append(module.progress.step + 1)
        before(module, optimizer)

    monkeypatch.setattr(SegmentationModule, "on_before_optimizer_step", noted)
    lexiseg.train(phantom, tmp_path / "run", steps=7, accumulate=3, **TINY)
    assert changed == [3, 6, 7]


def test_accumulated_gradients(phantom: Path, tmp_path: Path) -> None:
    """Two steps of 4 images with the weights changed once."""
    lexiseg.train(phantom, tmp_path / "run", steps=2, accumulate=2, **{**TINY, "ema_decay": 0.0})
    lexiseg.train(phantom, tmp_path / "each", steps=2, **{**TINY, "ema_decay": 0.0})
    run, each = (load_file(tmp_path / name / "weights.safetensors") for name in ("run", "each"))
    assert any(abs(run[name] - each[name]).max() > 0 for name in run)
