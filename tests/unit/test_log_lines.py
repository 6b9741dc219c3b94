"""Lines of the logs of a server and of a gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from lexiseg.log_lines import log_line

MOMENT = datetime(2026, 11, 29, 12, 0, 0, 123456, UTC)


def test_a_line_states_time_level_and_event_first() -> None:
    line = log_line("received", level="info", moment=MOMENT, fields={"image": "ab", "count": 2})
    assert line == (
        '{"time": "2026-11-29T12:00:00.123+00:00", "level": "info", "event": "received", "image": "ab", '
        '"count": 2}'
    )


def test_the_time_is_in_utc() -> None:
    osaka = MOMENT.astimezone(timezone(timedelta(hours=9)))
    assert log_line("a", level="info", moment=osaka, fields={}) == log_line(
        "a", level="info", moment=MOMENT, fields={}
    )


def test_any_value_gives_one_line_that_drives_no_terminal() -> None:
    fields = {"peer": "a\n\x1b[2J\u202e", "path": Path("x"), "inner": [{"error": ValueError("no")}]}
    line = log_line("a", level="error", moment=MOMENT, fields=fields)
    assert line.isprintable()
    found = json.loads(line)
    assert found["peer"] == fields["peer"]
    assert found["path"] == "x"
    assert found["inner"] == [{"error": "no"}]


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        log_line("a", level="info", moment=MOMENT, fields={"seconds": float("nan")})
