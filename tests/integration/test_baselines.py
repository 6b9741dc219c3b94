"""The baselines' command, at a tiny size: every row is trained, scored and printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parents[2] / "benchmarks" / "baselines.py"


def test_a_table_of_a_baseline_and_ours(folders: Path, tmp_path: Path, tiny_config: Path) -> None:
    options = ("--steps", "2", "--image-size", "64", "--config", str(tiny_config), "--models")
    command = [sys.executable, str(COMMAND), str(folders), "--out", str(tmp_path / "out"), *options]
    for models in ("unet", "unet,unetplusplus,stpnet-none"):  # the second time the first row is there already
        done = subprocess.run(
            [*command, models],
            capture_output=True,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[-3:] == ["U-Net", "U-Net++", "STPNet compact, no text"]
    assert (tmp_path / "out" / "unet-s0" / "test" / "metrics.json").is_file()
