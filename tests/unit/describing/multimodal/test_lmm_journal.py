from __future__ import annotations

import errno
import io
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from lexiseg.describing.multimodal import journal as journal_module
from lexiseg.describing.multimodal.journal import Journal, JournalEntry, JournalHead
from lexiseg.errors import DiskError, UsageError
from refusals import refuses

fcntl = journal_module.fcntl
needs_locks = pytest.mark.skipif(fcntl is None, reason="needs a system with fcntl, which locks files")

HEAD = JournalHead(model="m", server="http://a/v1", prompt_version=1, vocabulary="polyp")
FIRST = JournalEntry(key="a", reply="{}\nline two, \u00e9", tokens=(5, 2))
SECOND = JournalEntry(key="a", reply="x" * 500, tokens=(6, 3))
OTHER = JournalEntry(key="b", reply="", tokens=(0, 0))


def filled(path: Path) -> Path:
    with Journal(path, HEAD) as journal:
        for kept in (FIRST, OTHER, SECOND):
            journal.add(kept)
    return path


def test_replies_come_back_by_key_in_order(tmp_path: Path) -> None:
    path = filled(tmp_path / "deep" / "j")
    with Journal(path, HEAD) as journal:
        assert journal.resumed == 3
        assert journal.replies("a") == (FIRST, SECOND)
        assert journal.replies("b") == (OTHER,)
        assert journal.replies("c") == ()


@pytest.mark.parametrize("lost", [1, 2, 300])
def test_a_line_cut_by_a_kill_is_asked_again(tmp_path: Path, lost: int) -> None:
    path = filled(tmp_path / "j")
    path.write_bytes(path.read_bytes()[:-lost])
    with Journal(path, HEAD) as journal:
        assert journal.replies("a") == (FIRST,)
        journal.add(SECOND)
    with Journal(path, HEAD) as journal:
        assert journal.replies("a") == (FIRST, SECOND)


def test_a_kill_within_the_first_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"format": 1, "mod')
    with Journal(tmp_path / "j", HEAD) as journal:
        journal.add(OTHER)
    with Journal(tmp_path / "j", HEAD) as journal:
        assert journal.replies("b") == (OTHER,)


def test_another_model_does_not_go_on(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    before = path.read_bytes()
    with refuses("LEX-USE-053", "choose another --out"):
        Journal(path, HEAD.model_copy(update={"model": "other"}))
    assert path.read_bytes() == before


def test_a_journal_without_replies_holds_nobody_up(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", HEAD):
        assert (tmp_path / "j").is_file()
        (tmp_path / "killed").write_bytes((tmp_path / "j").read_bytes())
    assert not (tmp_path / "j").exists()
    other = HEAD.model_copy(update={"model": "other"})
    with Journal(tmp_path / "killed", other) as journal:
        journal.add(FIRST)
    with Journal(tmp_path / "killed", other) as journal:
        assert journal.replies("a") == (FIRST,)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_stays_a_disk_error_when_the_journal_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", HEAD)
    journal.add(FIRST)
    journal._file.close()
    journal._file = io.BufferedWriter(io.FileIO("/dev/full", "w"))
    with pytest.raises(DiskError, match=r"No space left on the disk while writing \S+/j\."), journal:
        journal.add(SECOND)
    with Journal(tmp_path / "j", HEAD) as again:
        assert again.replies("a") == (FIRST,)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], b"hello", *lines[2:]]))
    with refuses("LEX-DATA-114", "j, line 3: not a journal"):
        Journal(path, HEAD)


HOLD = """
import sys
from pathlib import Path
from lexiseg.describing.multimodal.journal import Journal, JournalHead, JournalEntry

head = JournalHead(model="m", server="http://a/v1", prompt_version=1, vocabulary="polyp")
journal = Journal(Path(sys.argv[1]), head)
journal.add(JournalEntry(key="a", reply="from the other", tokens=(0, 0)))
print("held", flush=True)
sys.stdin.read()
"""


@needs_locks
def test_a_journal_has_one_process_until_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.journal"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        before = path.read_bytes()
        with pytest.raises(UsageError, match=rf"Another process is writing the same .* has locked {path}\."):
            Journal(path, HEAD)
        assert path.read_bytes() == before
    finally:
        other.kill()
        other.communicate()
    with Journal(path, HEAD) as journal:
        assert journal.locked
        assert [kept.reply for kept in journal.replies("a")] == ["from the other"]


@needs_locks
def test_a_journal_removed_before_it_was_locked_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal(tmp_path / "j", HEAD)
    first.add(FIRST)
    lock = journal_module._lock

    def too_late(file: IO[bytes]) -> bool:
        if not first._file.closed:
            first.remove()
        return lock(file)

    monkeypatch.setattr(journal_module, "_lock", too_late)
    with Journal(tmp_path / "j", HEAD) as journal:
        assert journal.resumed == 0
        journal.add(OTHER)
    assert (tmp_path / "j").read_bytes().count(b"\n") == 2


def test_without_locks_a_journal_works_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "fcntl", None)
    with Journal(filled(tmp_path / "j"), HEAD) as journal:
        assert not journal.locked
        assert journal.resumed == 3
        journal.remove()
    assert not (tmp_path / "j").exists()


@needs_locks
def test_a_disk_without_locks_is_none_of_anothers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with Journal(tmp_path / "j", HEAD) as journal:
        assert not journal.locked


def test_a_refused_journal_is_let_go(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    with refuses("LEX-USE-053", "instead of"):
        Journal(path, HEAD.model_copy(update={"model": "other"}))
    with Journal(path, HEAD) as journal:
        assert journal.resumed == 3
