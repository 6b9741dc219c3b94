"""onnxruntime reports its use to nobody: it makes no number of the device and stores no events."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PREDICTION = """
import numpy as np
import lexiseg
print(len(lexiseg.load("covid-xray", engine="onnx").predict(np.zeros((8, 8), np.uint8)).words))
"""


def test_a_prediction_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    allowed = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", _PREDICTION], env={**allowed, **home}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0
    assert list(tmp_path.rglob("*")) == []
