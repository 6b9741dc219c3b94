"""The table of the benchmark that compares recipes with all masks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from script_module import load_script

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_columns_say_how_many_test_images_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    accuracy = load_script(BENCHMARKS / "accuracy.py")
    plain = accuracy.header_of("hour", {})
    assert plain[:5] == ["arm", "steps", "hours", "trained on", "parameters"]
    tested = accuracy.header_of("hour", {"hour": SimpleNamespace(cases=range(1234))})
    assert tested[: len(plain)] == plain
    assert tested[len(plain)] == "test Dice (1,234 images)"
    assert len(tested) == len(plain) + 5
