"""Claims on arms between real processes: the work is shared, and an arm of a dead process is taken over."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from lexiseg.studies.trial_claims import Claims
from refusals import refuses

SCRIPT = """
import sys, time
from pathlib import Path
from lexiseg.studies.trial_claims import Claims, share_out

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def work(name):
    # Nobody gets ahead so far that the other finds nothing to do, however slowly it starts.
    (folder / f"here-{sys.argv[3]}").touch()
    while len(list(folder.glob("here-*"))) < int(sys.argv[5]):
        time.sleep(0.05)
    with open(folder / "log", "a") as log:
        log.write(f"{name} {sys.argv[3]}\\n")
    (folder / f"begun-{name}").touch()
    end = time.monotonic() + seconds
    while time.monotonic() < end:  # in short steps, between which the process can be interrupted
        time.sleep(0.02)
    (folder / f"done-{name}").touch()

share_out(
    [f"arm{number}" for number in range(int(sys.argv[6]))],
    is_done=lambda name: (folder / f"done-{name}").is_file(),
    work=work,
    claims=Claims(folder / "claims", stale_minutes=float(sys.argv[4]) / 60),
    poll_seconds=float(sys.argv[7]),
)
"""


def start(
    folder: Path,
    seconds: float,
    name: str,
    *,
    together: int = 1,
    stale_seconds: float = 600,
    trials: int = 6,
    poll: float = 0.05,
) -> subprocess.Popen[str]:
    numbers = [str(number) for number in (stale_seconds, together, trials, poll)]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, str(folder), str(seconds), name, *numbers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


def holder_of(process: subprocess.Popen[str]) -> str:
    return f"process {process.pid} on {platform.node()}"


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


def test_processes_that_race_for_every_trial_do_none_twice(tmp_path: Path) -> None:
    """Without any pause the processes meet at every claim; none may fail, and no trial is done twice."""
    names = ("one", "two", "three")
    processes = [start(tmp_path, 0.0, name, together=3, trials=30, poll=0.0) for name in names]
    for process in processes:
        finish(process)
    assert sorted(name for name, _ in log(tmp_path)) == sorted(f"arm{number}" for number in range(30))


def test_an_arm_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    first = start(tmp_path, 60, "killed")
    wait_for(tmp_path / "begun-arm0")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said = finish(start(tmp_path, 0, "second"))
    assert f"arm0: taken over from process {first.pid} on " in said
    assert "has died" in said
    assert log(tmp_path).count(("arm0", "second")) == 1


def test_a_silent_process_loses_its_claim_and_stops(tmp_path: Path) -> None:
    """As when the machine of the first process sleeps: it holds a claim, but sends no heartbeat."""
    first = start(tmp_path, 60, "asleep", stale_seconds=2)
    wait_for(tmp_path / "begun-arm0")
    first.send_signal(signal.SIGSTOP)
    said: list[str] = []
    claims = Claims(tmp_path / "claims", stale_minutes=2 / 60, say=said.append)
    began = time.monotonic()
    claim = None
    while claim is None:
        assert time.monotonic() - began < 60
        claim = claims.take("arm0")
        time.sleep(0.1)
    assert time.monotonic() - began > 1.5
    assert said == [f"arm0: taken over from {holder_of(first)}, which has died or sends no heartbeat."]
    with claim:
        first.send_signal(signal.SIGCONT)
        wait_for(tmp_path / "begun-arm1")  # it has left the trial and goes on with the next
    first.kill()
    out, _ = first.communicate()
    assert "arm0: another process has taken this over, so this process leaves it." in out


def test_a_claim_with_a_heartbeat_is_respected(tmp_path: Path) -> None:
    first = start(tmp_path, 60, "awake", stale_seconds=3)
    wait_for(tmp_path / "begun-arm0")
    claims = Claims(tmp_path / "claims", stale_minutes=3 / 60)
    began = time.monotonic()
    while time.monotonic() - began < 5:
        assert claims.take("arm0") is None
        time.sleep(0.1)
    assert claims.holder("arm0") == holder_of(first)
    first.kill()
    first.communicate()


def test_processes_must_agree_when_a_claim_is_taken_over(tmp_path: Path) -> None:
    first = start(tmp_path, 60, "first", stale_seconds=30)
    wait_for(tmp_path / "begun-arm0")
    with refuses("LEX-USE-551", "the same --stale-minutes") as refused:
        Claims(tmp_path / "claims", stale_minutes=1).take("arm0")
    assert refused.value.code == "LEX-USE-551"
    first.kill()
    first.communicate()
