"""Splits that share images: every command refuses them, and tells them if the user insists."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import Command

pytestmark = pytest.mark.slow


def leaking(phantom: Path, root: Path) -> Path:
    """Return a copy of the phantom in which a training image is in val and test too."""
    shutil.copytree(phantom, root)
    source = sorted((root / "Train_Folder" / "img").iterdir())[0]
    for split in ("Val", "Test"):
        shutil.copy(source, sorted((root / f"{split}_Folder" / "img").iterdir())[0])
    (root / "Val_Folder" / "img" / "more.gif").write_bytes(b"GIF")
    return root


def test_every_command_refuses_and_tells(cli: Command, phantom: Path, tmp_path: Path) -> None:
    data, run = leaking(phantom, tmp_path / "data"), tmp_path / "run"
    short = ("--steps", 2, "--image-size", 64, "--batch-size", 2, "--text", "none")
    refused = cli("train", data, "--out", run, *short)
    assert refused.code == 3
    assert "LEX-DATA-700" in refused.stderr
    assert not run.exists()
    assert "LEX-DATA-700" in cli("audit", data, "--out", tmp_path / "audit", "--steps", 2).stderr
    trained = cli("train", data, "--out", run, *short, "--allow-leak")
    assert trained.code == 0, trained.stderr
    assert trained.stdout.count("that are not read: 1 .gif") == 1
    assert "Images that are in more than one split (1): Train_Folder/img/" in trained.stdout
    (told,) = json.loads((run / "run.json").read_text())["data"]["leaks"]
    assert "allow_leak: true" in (run / "config.yaml").read_text()
    assert told in (run / "model_card.md").read_text()
    for command in (("evaluate", run, data, "--out", tmp_path / "test"), ("calibrate", run, data)):
        outcome = cli(*command)
        assert outcome.code == 3
        assert "LEX-DATA-700" in outcome.stderr
        outcome = cli(*command, "--allow-leak")
        assert outcome.code == 0, outcome.stderr
        assert "Images that are in more than one split (1)" in outcome.stdout
        assert outcome.stdout.count("that are not read: 1 .gif") == 1
    metrics = json.loads((tmp_path / "test" / "metrics.json").read_text())
    assert len(metrics["data"]["leaks"]) == 1
    assert "--allow-leak" in metrics["execution"]["command"]
    assert "is not independent of the splits before it" in (tmp_path / "test" / "report.html").read_text()
    fitted = json.loads((run / "calibration.json").read_text())
    assert len(fitted["plain"]["data"]["leaks"]) == 1
