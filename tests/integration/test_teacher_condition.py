"""The comparison of what teachers of CoTexNet are told, on a small phantom."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parents[2] / "benchmarks" / "teacher_condition.py"
TEACHERS = ("word map", "sentence embedding")


def test_both_teachers_are_scored_and_not_trained_again(
    folders: Path, tmp_path: Path, tiny_config: Path
) -> None:
    options = ("--share", "0.5", "--steps", "3", "--image-size", "64", "--config", str(tiny_config))
    command = [sys.executable, str(COMMAND), str(folders), "--out", str(tmp_path / "out"), *options]

    def printed() -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first, again = printed(), printed()
    rows = re.findall(r"^\| (.+?) \| ([01]\.\d{4}) \|", first, re.MULTILINE)
    assert [name for name, _ in rows] == [f"{t}, told{n}" for n in ("", " nothing") for t in TEACHERS]
    assert "images with mask, 3 steps" in first
    assert (first.count("Teacher told by"), again.count("Teacher told by")) == (2, 0)
    assert _table(again) == _table(first)


def _table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]
