"""The command line, in this process (fast) and in one of its own, and one tiny trained run for all."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_data import phantom_cases, write_folders

from lexiseg.cli import main

#: Keeps a training of a few images short: no probe for bf16, no data workers.
TINY_CONFIG = "precision: fp32\nworkers: 0\nbatch_size: 4\nimage_size: 64\nwidth: 32\n"

TIMEOUT_S = 180


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Everything on stderr on one line, without the frames that usage errors are drawn in."""
        plain = "".join(" " if character in "\n│╭╮╰╯─" else character for character in self.stderr)
        return " ".join(plain.split())

    def refuses(self, code: int, *parts: str) -> None:
        """Check an error: its exit code, one message without traceback, and what the message says."""
        assert self.code == code, f"exit code {self.code}, expected {code}:\n{self.stderr}"
        assert "Traceback" not in self.stderr
        assert self.stderr.startswith(("Error: ", "Usage: ")), self.stderr
        assert self.stderr.count("Error: ") <= 1
        for part in parts:
            assert part in self.message, f"{part!r} not in: {self.message}"


Command = Callable[..., Outcome]


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
        return _shown(Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue()))

    return run


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a command: one thread, so that sums always have the same order."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **changes}


def start(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "lexiseg", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return _shown(Outcome(process.returncode, out, err))


def shell(*arguments: object, **changes: str) -> Outcome:
    """Run the command line in a process of its own."""
    return finish(start(*arguments, **changes))


def _shown(outcome: Outcome) -> Outcome:
    # pytest shows this where a test fails, and for all tests with -rP.
    print(f"exit code {outcome.code}\n{outcome.stdout}{outcome.stderr}")
    return outcome


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


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    run: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def trained(phantom: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a run trained for two epochs by its command; tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "reports"
    options = ("--text", "reports", "--epochs", 2, "--image-size", 64, "--config", tiny_config)
    outcome = shell("train", phantom, "--out", run, *options)
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
