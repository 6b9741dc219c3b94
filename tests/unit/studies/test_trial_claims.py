"""Claims on arms within one process; `tests/integration/test_arm_processes.py` has several."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexiseg.studies.trial_claims import Claims, share_out


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["listening", "nohup"])
def sigint(request: pytest.FixtureRequest) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint")
def test_who_lost_an_arm_stops_and_leaves_it(tmp_path: Path) -> None:
    said: list[str] = []
    claims = Claims(tmp_path, stale_minutes=0.4 / 60, say=said.append)
    claim = claims.take("arm")
    assert claim is not None
    finished = False
    handler = signal.getsignal(signal.SIGINT)
    with claim:
        # Another process has taken the claim over and holds a file of its own under this name.
        (tmp_path / "arm.claim").unlink()
        (tmp_path / "arm.claim").write_text("another")
        try:
            for _ in range(200):
                time.sleep(0.05)
            finished = True
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Lightning does
            raise
    assert signal.getsignal(signal.SIGINT) is handler
    assert claim.lost
    assert not finished
    assert (tmp_path / "arm.claim").read_text() == "another"
    assert said == ["arm: another process has taken this over, so this process leaves it."]


def test_ctrl_c_of_a_person_is_not_swallowed(tmp_path: Path) -> None:
    claim = Claims(tmp_path).take("arm")
    assert claim is not None
    with pytest.raises(KeyboardInterrupt), claim:
        raise KeyboardInterrupt
    assert not (tmp_path / "arm.claim").exists()


def test_work_that_fails_is_released(tmp_path: Path) -> None:
    def work(name: str) -> None:
        raise ValueError(name)

    claims = Claims(tmp_path)
    with pytest.raises(ValueError, match="arm"):
        share_out(["arm"], is_done=lambda name: False, work=work, claims=claims)
    assert claims.holder("arm") is None


def test_what_is_done_is_never_done_again(tmp_path: Path) -> None:
    done = {"a"}

    def work(name: str) -> None:
        assert name not in done
        done.add(name)

    share_out(["a", "b", "c"], is_done=done.__contains__, work=work, claims=Claims(tmp_path))
    assert done == {"a", "b", "c"}
