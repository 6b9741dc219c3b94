"""Predictions under the faults of a system: no traceback, nothing half-written, the right exit code."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, finish, start
from small_data import leftovers
from test_interrupted import wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")

PREDICT = '"$0" -m lexiseg predict covid-xray "$1" --out "$2"'
TERMINATED = 143


def in_shell(script: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the shell, in which $0 is Python."""
    return subprocess.run(
        ["bash", "-c", script, sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**changes),
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "changes"),
    [
        (f"{PREDICT} 2>&1 | head -0; exit ${{PIPESTATUS[0]}}", {}),
        (f"{PREDICT} >&-", {}),
        (f"ulimit -n 64; {PREDICT} --overlays", {}),
        (f"unset HOME; {PREDICT}", {"LC_ALL": "C", "COLUMNS": "40"}),
    ],
    ids=["closed pipe", "closed output", "few file handles", "no home, C locale, 40 columns"],
)
def test_the_work_is_finished(script: str, changes: dict[str, str], images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = in_shell(script, images, out, **changes)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == len(list(images.iterdir()))
    assert leftovers(out) == []


def test_sigterm(images: Path, tmp_path: Path) -> None:
    many, out = tmp_path / "many", tmp_path / "out"
    many.mkdir()
    for number in range(2000):
        shutil.copy(sorted(images.iterdir())[0], many / f"{number}.png")
    process = start("predict", "covid-xray", many, "--out", out)
    wait_for(process, lambda: len(list((out / "masks").glob("*"))) > 8)
    process.send_signal(signal.SIGTERM)
    outcome = finish(process)
    assert outcome.code == TERMINATED, outcome.stderr
    assert outcome.stderr.startswith("Interrupted. The masks so far are in")
    assert len(outcome.stderr.splitlines()) == 1
    assert [path.name for path in leftovers(out)] == ["predictions.jsonl.partial"]
    assert not (out / ".lexiseg.lock").exists()


def test_a_read_only_disk(images: Path, tmp_path: Path) -> None:
    """A mount of its own, as root may write to any folder."""
    (tmp_path / "ro").mkdir()
    if in_shell('unshare -Urm mount --bind "$1" "$1"', tmp_path / "ro").returncode != 0:
        pytest.skip("no mounts here")
    mount = 'mount --bind "$2" "$2" && mount -o remount,ro,bind "$2"'
    script = f'unshare -Urm bash -c \'{mount} && {PREDICT}\' "$0" "$1" "$2"'
    done = in_shell(script, images, tmp_path / "ro")
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("Error: No permission to write ")
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "ro").iterdir()) == []


def test_training_without_shared_memory(phantom: Path, tiny_config: Path, tmp_path: Path) -> None:
    if in_shell("unshare -Urm mount -t tmpfs -o ro none /dev/shm").returncode != 0:
        pytest.skip("no mounts here")
    train = '"$0" -m lexiseg train "$1" --out "$2" --config "$3" --steps 2 --workers 2'
    done = in_shell(
        f"unshare -Urm bash -c 'mount -t tmpfs -o ro none /dev/shm && {train}' \"$0\" \"$1\" \"$2\" \"$3\"",
        phantom, tmp_path / "run", tiny_config,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("without worker processes") == 1
