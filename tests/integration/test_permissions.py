"""Files with images or names of patients are private, whatever the umask is; --shared widens them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


def run(*arguments: object, umask: int) -> None:
    """Run a command under an umask."""
    done = subprocess.run(
        [sys.executable, "-m", "lexiseg", *map(str, arguments)],
        env=environment(),
        preexec_fn=lambda: os.umask(umask) and None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def modes(*places: Path) -> dict[str, set[int]]:
    """Return the modes of all files and of all folders below some places, and of the places."""
    found: dict[str, set[int]] = {"files": set(), "folders": set()}
    for path in (path for place in places for path in (place, *place.rglob("*"))):
        found["folders" if path.is_dir() else "files"].add(stat.S_IMODE(path.stat().st_mode))
    return found


@pytest.fixture
def image(images: Path) -> Path:
    return sorted(images.iterdir())[0]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_predictions(umask: int, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    formats = ("--write", "mask,overlay,card,probability")
    run("predict", "covid-xray", image, "--out", out, *formats, umask=umask)
    assert modes(tmp_path / "deep") == {"files": {0o600}, "folders": {0o700}}
    run("predict", "covid-xray", image, "--out", out, *formats, "--shared", umask=umask)
    assert modes(out)["files"] == {0o666 & ~umask}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700  # it existed
    run("predict", "covid-xray", image, "--out", tmp_path / "shared", *formats, "--shared", umask=umask)
    assert modes(tmp_path / "shared") == {"files": {0o666 & ~umask}, "folders": {0o777 & ~umask}}


def test_training_evaluation_and_descriptions(folders: Path, tiny_config: Path, tmp_path: Path) -> None:
    data, out = folders, tmp_path / "run"
    before = {path: path.stat().st_mode for path in (data, *data.rglob("*"))}
    run("train", data, "--out", out, "--epochs", 1, "--config", tiny_config, umask=0)
    run("evaluate", out, data, "--out", tmp_path / "test", umask=0)
    run("calibrate", out, data, umask=0)
    run("data", "describe", data, "--out", tmp_path / "d.jsonl", "--rois", tmp_path / "rois",
        "--vocabulary", "chest", umask=0)  # fmt: skip
    for path in (out, *out.iterdir(), *(tmp_path / "test").iterdir(), tmp_path / "d.jsonl"):
        if path.name != "tensorboard":  # in a private folder, without names
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert modes(tmp_path / "rois") == {"files": {0o600}, "folders": {0o700}}
    assert {path: path.stat().st_mode for path in (data, *data.rglob("*"))} == before
