from __future__ import annotations

import pytest

from lexiseg.models.learning_rates import WARMUP_STEPS, warm_restarts, warmup_cosine
from lexiseg.training.steps import progress as progress_module
from lexiseg.training.steps.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_share_by_steps() -> None:
    progress = Progress(total_steps=8, max_minutes=None)
    shares = []
    for progress.step in (0, 2, 8, 9):
        shares.append(progress.share)
    assert shares == [0, 0.25, 1, 1]


def test_share_by_minutes_counts_resumed_time(clock: list[float]) -> None:
    progress = Progress(total_steps=None, max_minutes=2, _started=clock[0])
    clock[0] += 30
    assert (progress.elapsed, progress.share) == (30, 0.25)
    state = progress.state()
    assert state == {"step": 0, "elapsed": 30}
    resumed = Progress(total_steps=None, max_minutes=2)
    clock[0] += 5000  # the time between kill and resume does not count
    resumed.restore({**state, "step": 7})
    clock[0] += 30
    assert (resumed.step, resumed.elapsed, resumed.share) == (7, 60, 0.5)
    resumed.start()
    assert resumed.elapsed == 30
    clock[0] += 500
    assert resumed.share == 1


def test_cosine_by_hand() -> None:
    assert warmup_cosine(0, 0.0) == pytest.approx(1 / WARMUP_STEPS)
    assert warmup_cosine(500, 0.5) == pytest.approx(0.01 + 0.99 / 2)
    assert warmup_cosine(1000, 1.0) == pytest.approx(0.01)


def test_warm_restarts_by_hand() -> None:
    def rate(epoch: int, step: int = 0) -> float:
        return warm_restarts(epoch * 20 + step, 20, peak=3e-4)

    assert rate(0) == rate(0, 19) == pytest.approx(3e-4)  # the rate changes between epochs
    assert rate(5) == pytest.approx(2e-4)
    assert rate(9) < rate(5)
    assert rate(10) == rate(20) == pytest.approx(3e-4)
    assert rate(9) > 1e-4


def test_no_rate_exceeds_a_peak_below_the_floor() -> None:
    assert {warm_restarts(epoch * 20, 20, peak=3e-5) for epoch in range(20)} == {3e-5}
