"""The command that compares recipes with all masks, at a tiny size: arms, order, selection, test split."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lexiseg.runs.run import Run

COMMAND = Path(__file__).parents[2] / "benchmarks" / "accuracy.py"
FIELDS = ("width=16", "batch_size=4", "workers=0", "precision=fp32", "accelerator=cpu", "source_weights={}")


@pytest.mark.slow
def test_arms_are_trained_in_order_and_the_test_split_is_opened_last(folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sizes = ("--steps", "2", "--image-size", "64", "--large-size", "96", "--threads", "1")
    fields = [part for field in FIELDS for part in ("--set", field)]

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(COMMAND), str(folders), "--out", str(out), *sizes, *fields, *arguments],
            capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, timeout=600, check=False,
        )  # fmt: skip

    early = command("--arms", "hour,distilled")
    assert early.returncode == 1
    assert "The arm distilled is taught by long and lite2: train them first" in early.stderr
    assert not out.exists()
    for arms in ("hour,long,lite2", "distilled,large"):
        done = command("--arms", arms)
        assert done.returncode == 0, done.stderr
        assert "test Dice" not in done.stdout
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == ["| hour", "| long", "| lite2", "| distilled", "| large"]
    assert all(row[3] == Run.open(out / f"{row[0][2:]}-s0").manifest.training.machine for row in rows[2:])
    values = {row[0].removeprefix("| "): float(row[6]) for row in rows[2:]}
    best = max(values, key=lambda name: values[name])
    assert f"Chosen on validation (Dice standardised by lesion size): {best}." in done.stdout
    assert not list(out.glob("*/test"))
    large = Run.open(out / "large-s0")
    assert large.manifest.image_size == 96
    assert large.manifest.network.encoder == "tf_efficientnet_lite2"
    assert large.manifest.training.distillation is not None
    assert [t.name for t in large.manifest.training.distillation.teachers] == ["long-s0", "lite2-s0"]
    tested = command("--table-only", "--test")
    assert tested.returncode == 0, tested.stderr
    metrics = [json.loads(file.read_text()) for file in out.glob("*/test/metrics.json")]
    assert len(metrics) == 5
    assert f"| test Dice ({metrics[0]['data']['samples']} images) |" in tested.stdout
