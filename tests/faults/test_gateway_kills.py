"""A few kills of a gateway under load; `make gateway-kills` does fifty."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.gateway_kills import campaign

pytestmark = pytest.mark.slow


def test_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    outcome = campaign(tmp_path, kills=3, seed=1)
    assert outcome.holds, outcome
