"""A clock that was ahead and is set back stops nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway_setup import image_bytes, opened, running, settings, wait_until
from lexiseg.gateway.queue.durable_queue import CorrectedTimes, Queue
from lexiseg.gateway.service import correct_times
from lexiseg.gateway.sources.intake import Intake


def said(events: Callable[[], list[dict[str, Any]]]) -> dict[str, int]:
    """Return the counts of the events about times."""
    names = ("clock_set_back", "waits_shortened")
    return {event["event"]: event["count"] for event in events() if event["event"] in names}


def test_deliveries_go_on_after_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings(tmp_path, retries={"longest_s": 100})) as (state, events):
        ahead = time.time() + 1e8
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: ahead)
            Intake(state).take(image_bytes(), source="s", sop_uid="1")
            (id,) = state.queue.ids("waiting")
            state.queue.predicted(id, rule="chest", code="", destinations=["out", "archive"])
            state.queue.postpone(id, "out", 5)
        state.queue.postpone(id, "archive", 100)
        assert state.queue.due("out", 9) == []
        correct_times(state)
        assert [due.image.id for due in state.queue.due("out", 9)] == [id]
        # A wait that can be stays, and the age of the image counts from now.
        assert state.queue.due("archive", 9) == []
        image = state.queue.get(id)
        assert image is not None
        assert time.time() - 60 < image.received <= image.changed <= time.time()
        assert said(events) == {"clock_set_back": 2, "waits_shortened": 1}
        assert state.queue.correct_times(100) == CorrectedTimes(images=0, waits=0)


def test_a_shorter_longest_wait_is_no_clock_that_was_set_back(tmp_path: Path) -> None:
    with opened(settings(tmp_path, retries={"longest_s": 100})) as (state, events):
        Intake(state).take(image_bytes(), source="s", sop_uid="1")
        (id,) = state.queue.ids("waiting")
        state.queue.predicted(id, rule="chest", code="", destinations=["out"])
        state.queue.postpone(id, "out", 900)
        correct_times(state)
        assert [due.image.id for due in state.queue.due("out", 9)] == [id]
        assert said(events) == {"waits_shortened": 1}


def test_a_small_step_of_the_clock_corrects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(settings(tmp_path)) as (state, _):
        ahead = time.time() + 3
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: ahead)
            Intake(state).take(image_bytes(), source="s", sop_uid="1")
        assert state.queue.correct_times(100) == CorrectedTimes(images=0, waits=0)


def test_times_that_others_write_meanwhile_are_not_in_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings(tmp_path)) as (state, _):
        Intake(state).take(image_bytes(), source="s", sop_uid="1")
        (id,) = state.queue.ids("waiting")
        with monkeypatch.context() as patched:
            # Each look at the clock is a minute later, and another thread has the first transaction.
            start = time.time()
            moments = iter([start + 60 * number for number in range(9)])
            patched.setattr(time, "time", lambda: next(moments))
            transaction = Queue._transaction

            def after_another(queue: Queue) -> AbstractContextManager[sqlite3.Connection]:
                patched.setattr(Queue, "_transaction", transaction)
                queue.settle(id, "done")
                return queue._transaction()

            patched.setattr(Queue, "_transaction", after_another)
            corrected = state.queue.correct_times(100)
        assert corrected == CorrectedTimes(images=0, waits=0)


def test_a_running_gateway_corrects_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(settings(tmp_path)) as (state, events):
        ahead = time.time() + 1e8
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: ahead)
            Intake(state).take(image_bytes(), source="s", sop_uid="1")
        with running(state):
            wait_until(lambda: any(event["event"] == "clock_set_back" for event in events()))
