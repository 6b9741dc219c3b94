"""Temporary folders for images of patients: private, and removed whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.outputs.private_folder import PrivateFolder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_made_when_it_is_needed_and_for_this_user_alone(temporary: Path) -> None:
    with PrivateFolder("images") as private:
        assert list(temporary.iterdir()) == []
        (folder,) = {private.path, private.path}
        assert folder.name.startswith("lexiseg-images-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a.png").touch()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_another_process_takes_for_an_abandoned_one_is_not_used(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["process 1 on here"])
    take = FolderLock.take
    monkeypatch.setattr(FolderLock, "take", lambda lock: next(answers, None) or take(lock))
    with PrivateFolder("images") as private:
        first, second = private.path, private.path
        assert first == second
        assert (first / ".lock").is_file()


def test_folders_of_killed_processes_are_removed(temporary: Path) -> None:
    left = temporary / "lexiseg-jobs-old"
    left.mkdir(mode=0o700)
    (left / ".lock").touch()
    (left / "a.png").touch()
    running, other = PrivateFolder("images"), PrivateFolder("jobs")
    mine = running.new("1")
    assert not left.exists()
    other.new("2")
    assert mine.is_dir()
    running.remove()
    other.remove()
    assert list(temporary.glob("lexiseg-*")) == []


def test_a_folder_that_others_may_change_is_left_alone(temporary: Path) -> None:
    # Its lock file may be a link to a file of this user, which taking the lock would overwrite.
    notes = temporary / "notes.txt"
    notes.write_text("mine")
    planted = temporary / "lexiseg-jobs-planted"
    planted.mkdir()
    planted.chmod(0o777)
    (planted / ".lock").symlink_to(notes)
    private = PrivateFolder("jobs")
    private.new("1")
    private.remove()
    assert notes.read_text() == "mine"
    assert planted.is_dir()


def test_a_folder_that_a_cleaning_program_removed_is_made_again(temporary: Path) -> None:
    private = PrivateFolder("jobs")
    shutil.rmtree(private.new("1").parent)
    assert private.new("2").is_dir()
    private.remove()
    assert list(temporary.glob("lexiseg-*")) == []
