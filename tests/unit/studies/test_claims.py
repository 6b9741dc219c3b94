"""Claims on arms: one holder at a time, take-over of the dead, and the work shared by real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexiseg.studies.claims import Claims, share_out

SCRIPT = """
import sys, time
from pathlib import Path
from lexiseg.studies.claims import Claims, share_out

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def work(name):
    # Nobody gets ahead so far that the other finds nothing to do, however slowly it starts.
    (folder / f"here-{sys.argv[3]}").touch()
    while len(list(folder.glob("here-*"))) < int(sys.argv[5]):
        time.sleep(0.05)
    with open(folder / "log", "a") as log:
        log.write(f"{name} {sys.argv[3]}\\n")
    (folder / f"begun-{name}").touch()
    time.sleep(seconds)
    (folder / f"done-{name}").touch()

share_out(
    [f"arm{number}" for number in range(6)],
    is_done=lambda name: (folder / f"done-{name}").is_file(),
    work=work,
    claims=Claims(folder / "claims", stale_minutes=float(sys.argv[4]) / 60),
    poll_seconds=0.05,
)
"""


def start(folder: Path, seconds: float, name: str, *, together: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(seconds), name, "600", str(together)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


def log(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "log").read_text().splitlines()
    return [(name, who) for name, who in (line.split() for line in lines)]


def wait_for(path: Path) -> None:
    for _ in range(20_000):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never came")


def test_two_processes_share_the_arms_and_do_none_twice(tmp_path: Path) -> None:
    processes = [start(tmp_path, 0.1, name, together=2) for name in ("one", "two")]
    for process in processes:
        finish(process)
    names = [name for name, _ in log(tmp_path)]
    assert sorted(names) == [f"arm{number}" for number in range(6)]
    assert {who for _, who in log(tmp_path)} == {"one", "two"}
    assert not [path for path in (tmp_path / "claims").iterdir() if not path.name.startswith(".")]


def test_an_arm_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    first = start(tmp_path, 60, "killed")
    wait_for(tmp_path / "begun-arm0")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said = finish(start(tmp_path, 0, "second"))
    assert "arm0: taken over from process" in said
    assert "has died" in said
    assert log(tmp_path).count(("arm0", "second")) == 1


def test_a_silent_claim_is_taken_over_and_a_beating_one_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    claims = Claims(tmp_path, stale_minutes=10, say=said.append)
    foreign = tmp_path / "arm.1"
    foreign.write_text(json.dumps({"host": "elsewhere", "pid": 1, "processes": "other", "since": "noon"}))
    assert claims.take("arm") is None
    old = time.time() - 11 * 60
    os.utime(foreign, (old, old))
    claim = claims.take("arm")
    assert claim is not None
    assert claim.number == 2
    assert not foreign.exists()
    assert said == [
        "arm: taken over from process 1 on elsewhere, since noon, which has been silent for 11.0 minutes."
    ]


def test_a_claim_that_is_just_being_written_is_respected(tmp_path: Path) -> None:
    (tmp_path / "arm.1").touch()
    assert Claims(tmp_path).take("arm") is None


def test_a_claim_made_beside_a_higher_one_is_given_up(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    ours = claims.take("arm")
    assert ours is not None
    (tmp_path / "arm.2").write_text("{}")
    late = claims.take("arm")
    assert late is None
    ours._remove()
    # Somebody who had listed the folder before arm.2 was there makes arm.1 anew, sees arm.2, and withdraws.
    assert ours.make() is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arm.2"]


def test_the_heart_beats_while_the_work_goes_on(tmp_path: Path) -> None:
    claims = Claims(tmp_path, stale_minutes=0.4 / 60)
    claim = claims.take("arm")
    assert claim is not None
    with claim:
        before = (tmp_path / "arm.1").stat().st_mtime_ns
        for _ in range(600):
            if (tmp_path / "arm.1").stat().st_mtime_ns > before:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the heart does not beat")
    assert not (tmp_path / "arm.1").exists()


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
        (tmp_path / "arm.2").write_text("{}")
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
    assert (tmp_path / "arm.2").exists()
    assert said == ["arm: another process has taken this arm over, so it was left to it."]


@pytest.mark.usefixtures("sigint")
def test_a_claim_of_the_same_number_is_not_ones_own(tmp_path: Path) -> None:
    claims = Claims(tmp_path, stale_minutes=0.4 / 60, say=lambda said: None)
    claim = claims.take("arm")
    assert claim is not None
    interrupted = False
    with claim:
        # Others took it over, released it, and claimed it anew, while this machine slept.
        (tmp_path / "arm.1").write_text('{"token": "another"}')
        try:
            for _ in range(200):
                time.sleep(0.05)
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted
    assert claim.lost
    assert (tmp_path / "arm.1").exists()


def test_ctrl_c_of_a_person_is_not_swallowed(tmp_path: Path) -> None:
    claim = Claims(tmp_path).take("arm")
    assert claim is not None
    with pytest.raises(KeyboardInterrupt), claim:
        raise KeyboardInterrupt
    assert not (tmp_path / "arm.1").exists()


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
