"""Nothing grows over many predictions in one process; `benchmarks/prediction_growth.py` measures 3,000."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from command_line import Trained
from small_data import phantom_cases, save

from script_module import load_script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return load_script(BENCHMARKS / "prediction_growth.py")


def test_a_hundred_predictions(growth: ModuleType, trained: Trained, tmp_path: Path) -> None:
    images = [tmp_path / "images" / f"{case.name}.png" for case in phantom_cases()]
    for path, case in zip(images, phantom_cases(), strict=True):
        save(path, case.image)
    out = tmp_path / "out"
    samples = growth.measure(str(trained.run), images, out, count=100, warm_up=40, steps=3)
    assert [sample.done for sample in samples] == [40, 60, 80, 100]
    assert growth.grown(samples) == []
    assert (out / "predictions.jsonl").is_file()


def test_growth_is_named(growth: ModuleType) -> None:
    before = growth.Sample(done=1, megabytes=100.0, handles=5, threads=2)
    after = growth.Sample(done=2, megabytes=103.0, handles=6, threads=2)
    assert growth.grown([before, after]) == ["memory 100 to 103 MB", "handles 5 to 6"]
    assert growth.grown([before, before]) == []
