from __future__ import annotations

import io
from pathlib import Path

import pytest

from lexiseg.errors import DataError, DiskError, UsageError
from lexiseg.text.lmm.journal import Journal, JournalHead, Kept

HEAD = JournalHead(model="m", server="http://a/v1", prompt_version=1, vocabulary="polyp")
FIRST = Kept(key="a", reply="{}\nline two, \u00e9", tokens=(5, 2))
SECOND = Kept(key="a", reply="x" * 500, tokens=(6, 3))
OTHER = Kept(key="b", reply="", tokens=(0, 0))


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
    with pytest.raises(UsageError, match=r"run with model 'm' instead of 'other'.*choose another --out"):
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
    with pytest.raises(DataError, match=r"j, line 3: not a journal"):
        Journal(path, HEAD)
