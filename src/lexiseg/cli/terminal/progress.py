"""Progress of a command: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from lexiseg.cli.terminal.output_mode import output_mode
from lexiseg.console import PrintableConsole, duration_text

#: Without a terminal, the first line is printed after this time, and further ones at this interval.
FIRST_LINE_S, LINE_EVERY_S = 10.0, 60.0

_BAR_WIDTH = 20


class HeartbeatProgress(Progress):
    """A progress bar on standard error; where that is no terminal, a line now and then.

    With --quiet, nothing is shown.

    Args:
        *columns: The columns of the bar; the description follows them, cut to the width of the terminal.
        line: The line of a task for logs, from the task and its steps per second, if they are known.
    """

    def __init__(self, *columns: ProgressColumn, line: Callable[[Task, float | None], str]) -> None:
        console = PrintableConsole(stderr=True, soft_wrap=True, highlight=False)
        quiet = output_mode().quiet
        # The last column, the description, takes what the others leave.
        description = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True))
        shown = console.is_terminal and not quiet
        super().__init__(*columns, description, console=console, disable=not shown, expand=True)
        self._beats = not quiet and not console.is_terminal
        self._line = line
        self._next = time.monotonic() + FIRST_LINE_S
        # When the first steps of each task were done, and how many: what comes before them, such as loading a
        # network, says nothing about the rate.
        self._begun: dict[TaskID, tuple[float, float]] = {}

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Count steps of a task."""
        super().advance(task_id, advance)
        self._beat(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task; see `rich.progress.Progress.update`."""
        super().update(task_id, **changes)
        self._beat(task_id)

    def _beat(self, task_id: TaskID) -> None:
        if not self._beats:
            return
        now, task = time.monotonic(), self._tasks[task_id]
        if task.completed and task_id not in self._begun:
            self._begun[task_id] = now, task.completed
        if now >= self._next:
            self._next = now + LINE_EVERY_S
            started, steps = self._begun.get(task_id, (now, 0))
            speed = (task.completed - steps) / (now - started) if now > started else None
            self.console.print(self._line(task, speed))


class RateColumn(ProgressColumn):
    """Steps per second, or seconds per step."""

    def render(self, task: Task) -> Text:
        """Return the cell."""
        return Text(rate_text(task.finished_speed or task.speed), style="progress.data.speed")


class TimeLeftColumn(ProgressColumn):
    """The time that is left."""

    # The figure jumps less if it is computed twice a second only.
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return the cell."""
        left = task.time_remaining
        return Text("" if left is None else f"{duration_text(left)} left", style="progress.remaining")


def counted_progress() -> HeartbeatProgress:
    """Return the progress of a task that counts images or cases.

    Bar, rate and time left come first, so that a narrow terminal cuts the description and not these.
    """
    columns = (BarColumn(_BAR_WIDTH), RateColumn(), TimeLeftColumn(), MofNCompleteColumn())
    return HeartbeatProgress(*columns, line=_counted_line)


def downloads_progress() -> HeartbeatProgress:
    """Return the progress of downloads, which count bytes."""
    columns = (BarColumn(_BAR_WIDTH), TransferSpeedColumn(), TimeLeftColumn(), DownloadColumn())
    return HeartbeatProgress(*columns, line=_bytes_line)


def _bytes_line(task: Task, speed: float | None) -> str:
    """Return the line of a task that counts bytes."""
    total = "" if not task.total else f" of {task.total / 1e6:.0f}"
    return f"{task.description}: {task.completed / 1e6:.0f}{total} MB"


def _counted_line(task: Task, speed: float | None) -> str:
    """Return the line of a task that counts."""
    done, total = int(task.completed), task.total
    parts = [f"{task.description}: {done}"]
    if total:
        parts = [f"{task.description}: {done} of {int(total)} ({task.percentage:.0f} %)"]
    if speed:
        parts.append(rate_text(speed))
        if total:
            parts.append(f"about {duration_text((total - done) / speed)} left")
    return ", ".join(parts)


def rate_text(speed: float | None) -> str:
    """Return a rate for people, such as "4.1/s" or "2.5 s each"; empty where it is not known.

    Args:
        speed: Steps per second.
    """
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
