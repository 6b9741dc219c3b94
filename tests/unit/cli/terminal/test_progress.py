"""Progress: a bar whose first columns fit a terminal of 80 columns, or a line now and then."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lexiseg.cli.terminal import progress as progress_module
from lexiseg.cli.terminal.output_mode import set_output_mode
from lexiseg.cli.terminal.progress import counted_progress, downloads_progress, rate_text
from lexiseg.console import duration_text
from lexiseg.training.steps.progress import Progress as Training


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress_module.time, "monotonic", found)
    set_output_mode(quiet=False, json=False)
    return found


def test_lines_where_there_is_no_terminal(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with counted_progress() as progress:
        task = progress.add_task("predicting", total=1000)
        for second in range(1, 201):
            clock.now = float(second)
            progress.advance(task, 4)
    # The first line comes after 10 s, further ones every 60 s; 4 images/s, and the rest takes 240 s.
    assert capsys.readouterr().err.splitlines() == [
        "predicting: 40 of 1000 (4 %), 4.0/s, about 4 min left",
        "predicting: 280 of 1000 (28 %), 4.0/s, about 3 min left",
        "predicting: 520 of 1000 (52 %), 4.0/s, about 2 min left",
        "predicting: 760 of 1000 (76 %), 4.0/s, about 60 s left",
    ]


def test_lines_of_an_unknown_total_and_of_downloads(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with counted_progress() as progress:
        task = progress.add_task("evaluating", total=None)
        clock.now = 2.0
        progress.update(task, completed=1)
        clock.now = 20.0
        progress.update(task, completed=10)
    with downloads_progress() as progress:
        task = progress.add_task("images.zip", total=50_000_000)
        clock.now = 40.0
        progress.update(task, completed=20_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "evaluating: 10, 2.0 s each",
        "images.zip: 20 of 50 MB",
    ]


def test_the_time_until_the_first_step_is_not_in_the_rate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with counted_progress() as progress:
        task = progress.add_task("evaluating", total=100)
        clock.now = 50.0  # such as loading a network
        progress.update(task, completed=1)
        clock.now = 120.0
        progress.update(task, completed=71)
    assert capsys.readouterr().err.splitlines() == [
        "evaluating: 1 of 100 (1 %)",
        "evaluating: 71 of 100 (71 %), 1.0/s, about 29 s left",
    ]


def test_no_line_with_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    set_output_mode(quiet=True, json=False)
    with counted_progress() as progress:
        task = progress.add_task("predicting", total=2)
        clock.now = 100.0
        progress.advance(task)
    assert capsys.readouterr().err == ""


def test_rate_and_time_left_fit_eighty_columns(clock: Clock) -> None:
    progress = counted_progress()
    progress.get_time = clock
    progress.live.console = Console(file=io.StringIO(), width=80, force_terminal=True)
    task = progress.add_task("a description that is far too long for the rest of the line", total=100_000)
    for second in range(1, 30):
        clock.now = float(second)
        progress.advance(task, 12)
    console = Console(file=io.StringIO(), width=80)
    console.print(progress.get_renderable())
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "12.0/s" in shown[0]
    assert "2.3 h left" in shown[0]
    assert shown[0].index("12.0/s") < shown[0].index("left") < shown[0].index("348/100000")


@pytest.mark.parametrize(
    ("speed", "text"), [(None, ""), (0.0, ""), (12.34, "12.3/s"), (1.0, "1.0/s"), (0.4, "2.5 s each")]
)
def test_rate_text(speed: float | None, text: str) -> None:
    assert rate_text(speed) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7200, "2.0 h"), (9000, "2.5 h")],
)
def test_duration_text(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_time_left_of_a_training() -> None:
    training = Training(total_steps=100, max_minutes=None)
    assert training.seconds_left is None  # nothing is known before the first step
    training.restore({"step": 25, "elapsed": 60.0})
    left = training.seconds_left
    assert left == pytest.approx(180, abs=1)
    timed = Training(total_steps=None, max_minutes=2)
    timed.restore({"step": 5, "elapsed": 30.0})
    assert timed.seconds_left == pytest.approx(90, abs=1)
