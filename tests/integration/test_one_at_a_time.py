"""Two commands that write to one folder at the same time: the second is refused, and nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, finish, shell, start
from PIL import Image
from small_data import leftovers
from test_interrupted import saved_after, wait_for

USAGE, RUN = 2, 4


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Return a folder with 120 small images."""
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(120):
        pixels = rng.integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def test_two_predictions(cli: Command, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start("predict", "covid-xray", many, "--out", out)
    wait_for(first, lambda: (out / "masks").is_dir())
    second = cli("predict", "covid-xray", many, "--out", out)
    second.refuses(USAGE, f"process {first.pid} on {socket.gethostname()}", "--out", "LEX-USE-740")
    outcome = finish(first)
    assert outcome.code == 0, outcome.stderr
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == 120
    assert all((out / line["mask"]).is_file() for line in lines)
    assert leftovers(out) == []
    assert not (out / ".lexiseg.lock").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_prediction_can_be_started_again(cli: Command, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start("predict", "covid-xray", many, "--out", out, "--overlays")
    wait_for(first, lambda: len(list((out / "overlays").glob("*.png"))) > 2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    outcome = cli("predict", "covid-xray", many, "--out", out)
    assert outcome.code == 0, outcome.stderr
    assert len(list((out / "masks").iterdir())) == 120
    assert list((out / "overlays").iterdir()) == []
    assert leftovers(out) == []


def test_two_trainings(phantom: Path, tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = start("train", phantom, "--out", run, "--epochs", 500, "--config", tiny_config)
    try:
        wait_for(first, lambda: (tmp_path / ".run.lock").is_file())
        second = shell("train", phantom, "--out", run, "--config", tiny_config)
        second.refuses(RUN, f"process {first.pid} on", "LEX-RUN-740")
        wait_for(first, saved_after(run, 0))
        shell("train", phantom, "--out", run, "--resume").refuses(RUN, f"process {first.pid} on")
    finally:
        first.send_signal(signal.SIGINT)
    assert finish(first).code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
