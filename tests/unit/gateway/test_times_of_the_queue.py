"""A clock that was ahead and is set back stops nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway_setup import image_bytes, opened, running, settings, wait_until
from lexiseg.gateway.intake import Intake
from lexiseg.gateway.service import correct_times


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
        assert correct_times(state) == 3
        assert [due.image.id for due in state.queue.due("out", 9)] == [id]
        # A wait that can be stays, and the age of the image counts from now.
        assert state.queue.due("archive", 9) == []
        image = state.queue.get(id)
        assert image is not None
        assert time.time() - 60 < image.received <= image.changed <= time.time()
        (said,) = [event for event in events() if event["event"] == "clock_set_back"]
        assert said["count"] == 3
        assert correct_times(state) == 0


def test_a_running_gateway_corrects_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(settings(tmp_path)) as (state, events):
        ahead = time.time() + 1e8
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: ahead)
            Intake(state).take(image_bytes(), source="s", sop_uid="1")
        with running(state):
            wait_until(lambda: any(event["event"] == "clock_set_back" for event in events()))
