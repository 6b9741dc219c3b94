"""One process at a time holds the lock of a folder, and the death of its holder frees it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lexiseg.outputs.folder_lock import FolderLock
from refusals import refuses

HOLD = """
import sys, time
from pathlib import Path
from lexiseg.outputs.folder_lock import FolderLock

lock = FolderLock(Path(sys.argv[1]))
print(lock.take(), flush=True)
sys.stdin.read()
lock.release()
"""


def hold(file: Path) -> subprocess.Popen[str]:
    """Start a process that holds a lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "None\n"
    return process


def test_the_holder_is_named_and_the_lock_is_free_after_it(tmp_path: Path) -> None:
    file = tmp_path / "out" / "deep" / ".lock"
    other = hold(file)
    lock = FolderLock(file)
    assert lock.take() == f"process {other.pid} on {socket.gethostname()}"
    assert file.is_file()
    other.communicate("")
    assert not (tmp_path / "out").exists()  # as before: the lock was the only reason for the folders
    assert lock.take() is None
    assert lock.supported
    (tmp_path / "out" / "result").touch()
    lock.release()
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["result"]
    lock.release()  # once more does nothing


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    other = hold(file)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert file.is_file()
    lock = FolderLock(file)
    assert lock.take() is None
    assert str(os.getpid()) in file.read_text()
    lock.release()
    assert not file.exists()


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / ".lock")
    assert lock.take() is None
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    try:
        lock.release()
        again = FolderLock(tmp_path / ".lock")
        assert again.take() is None
        again.release()
    finally:
        child.kill()
        child.join()


def test_a_disk_without_locks_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object, **__: object) -> bool:
        raise OSError("Function not implemented")

    monkeypatch.setattr("filelock.lock_descriptor", unsupported)
    lock = FolderLock(tmp_path / ".lock")
    assert lock.take() is None
    assert not lock.supported
    lock.release()


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with refuses("LEX-USE-001", "cannot be created"):
        FolderLock(tmp_path / "out" / ".lock").take()
    assert (tmp_path / "out").read_text() == "mine"
