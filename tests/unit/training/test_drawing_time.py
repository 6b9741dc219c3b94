from __future__ import annotations

import time
from pathlib import Path

import pytest

from lexiseg.training import drawing_time
from lexiseg.training.drawing_time import DrawingTime


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the clock, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert drawing_time.time is time
    return now


def test_the_time_is_kept_while_a_training_is_stopped(tmp_path: Path, clock: list[float]) -> None:
    folder = tmp_path / "teachers"
    first = DrawingTime(folder)
    assert (first.seconds, first.minutes) == (None, None)

    def work_until_stopped() -> None:
        with first.counted():
            clock[0] += 90
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_until_stopped()
    clock[0] += 1000  # stopped
    resumed = DrawingTime(folder)
    with resumed.counted():
        clock[0] += 60
    assert (resumed.seconds, resumed.minutes) == (150, 2.5)
