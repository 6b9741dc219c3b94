"""A disk that is really full: exit code 6, one message, nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Command, Trained, shell
from small_data import leftovers

FULL = 6

Disk = Callable[[int], Path]


@pytest.fixture
def needed(trained: Trained) -> dict[str, int]:
    """Return the KiB of the files of a run."""
    return {path.name: path.stat().st_size // 1024 + 1 for path in trained.run.iterdir() if path.is_file()}


@pytest.mark.parametrize("full_at", ["bank.safetensors", "weights.safetensors", "checkpoint.ckpt"])
def test_train(
    small_disk: Disk,
    needed: dict[str, int],
    phantom: Path,
    tiny_config: Path,
    full_at: str,
) -> None:
    # In the order they are written; the disk has room for those before, and half of this one.
    names = ["bank.safetensors", "weights.safetensors", "checkpoint.ckpt"]
    before = sum(needed[name] for name in names[: names.index(full_at)])
    disk = small_disk(before + needed[full_at] // 2 + (100 if before else 0))
    run = disk / "run"
    # In a process of its own, so that the bank has the size that `needed` found.
    outcome = shell("train", phantom, "--out", run, "--epochs", 1, "--config", tiny_config)
    outcome.refuses(FULL, "No space left on the disk", str(run), "Free some space")
    assert ("--resume" in outcome.message) == (full_at != "bank.safetensors")
    assert leftovers(disk) == []
    assert not (run / full_at).exists()


def test_predict(cli: Command, small_disk: Disk, trained: Trained, images: Path) -> None:
    out = small_disk(24) / "out"
    outcome = cli("predict", trained.run, images, "--out", out, "--overlays")
    outcome.refuses(FULL, "No space left on the disk", str(out))
    assert not (out / "predictions.jsonl").exists()
    assert [path for path in leftovers(out) if path.name != "predictions.jsonl.partial"] == []


def test_evaluate(cli: Command, small_disk: Disk, trained: Trained, phantom: Path) -> None:
    out = small_disk(40) / "out"
    outcome = cli("evaluate", trained.run, phantom, "--out", out)
    outcome.refuses(FULL, "No space left on the disk", str(out))
    assert leftovers(out) == []
    # Written last, so that a whole evaluation can be told by it.
    assert not (out / "metrics.json").exists()
    assert not (out / "report.html").exists()


def test_phantom(cli: Command, small_disk: Disk) -> None:
    data = small_disk(100) / "data"
    outcome = cli("data", "phantom", data, "--train", 20, "--val", 1, "--test", 1, "--size", 128)
    outcome.refuses(FULL, "No space left on the disk", str(data))
    assert leftovers(data) == []


def test_split_of_a_full_data_disk(
    cli: Command, small_disk: Disk, folders: Path, tmp_path: Path, tiny_config: Path
) -> None:
    """A data set whose disk takes no splits.json can still be trained on."""
    (folders / "splits.json").unlink()
    disk = small_disk(400)
    data = Path(shutil.copytree(folders, disk / "data"))
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))
    outcome = cli("train", data, "--out", tmp_path / "run", "--epochs", 1, "--config", tiny_config)
    assert outcome.code == 0, outcome.stderr
    assert "the same split is made again each time" in outcome.stdout
    assert leftovers(data) == []
