"""The command line, in this process (fast) and in one of its own, and one tiny trained run for all."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Command, Outcome, Trained, shell, shown
from small_data import phantom_cases, write_folders

from lexiseg.cli import main
from random_runs import images as random_images
from random_runs import made, make_run

__all__ = ["made", "make_run", "random_images"]

#: Keeps a training of a few images short: no probe for bf16, no data workers.
TINY_CONFIG = "precision: fp32\nworkers: 0\nbatch_size: 4\nimage_size: 64\nwidth: 32\n"


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a caller of the command line's own entry point, in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["lexiseg", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        return shown(Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue()))

    return run


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration file for short trainings."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY_CONFIG)
    return path


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a phantom data set, made by its command; tests only read it."""
    folder = tmp_path_factory.mktemp("data") / "phantom"
    made = shell("data", "phantom", folder, "--train", 24, "--val", 6, "--test", 6, "--size", 96)
    assert made.code == 0, made.stderr
    assert "36 images written" in made.stdout
    return folder


@pytest.fixture(scope="session")
def trained(phantom: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a run trained for two epochs by its command; tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "reports"
    options = ("--text", "reports", "--epochs", 2, "--image-size", 64, "--config", tiny_config)
    outcome = shell("train", phantom, "--out", run, *options)
    assert outcome.code == 0, outcome.stderr
    return Trained(run, outcome)


@pytest.fixture(scope="session")
def trained_cotexnet(phantom: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a run of the other model; its command differs in `--model` alone."""
    run = tmp_path_factory.mktemp("runs") / "cotexnet"
    options = ("--text", "reports", "--epochs", 1, "--image-size", 64, "--config", tiny_config)
    outcome = shell("train", phantom, "--out", run, "--model", "cotexnet", *options)
    assert outcome.code == 0, outcome.stderr
    return Trained(run, outcome)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a data set of 14 images that a test may spoil."""
    return write_folders(tmp_path / "data", phantom_cases())


@pytest.fixture
def images(phantom: Path) -> Path:
    """Return a folder with six images of 96 x 96 pixels."""
    return phantom / "Test_Folder" / "img"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a maker of real disks of a few KiB; skips where one cannot be mounted."""
    mounted: list[Path] = []

    def make(kib: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("needs the command mount, to test with a disk that is really full")
        if done.returncode:
            pytest.skip(f"needs the right to mount a tmpfs, to test with a full disk: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
