from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from lexiseg.errors import DiskError, UsageError
from lexiseg.files import (
    atomic_folder,
    atomic_path,
    disk_errors,
    refuse_blocked,
    write_bytes,
    write_json,
    write_text,
)
from refusals import refuses


def test_a_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "note.txt"
    write_text(file, "old")
    write_text(file, "new")
    assert file.read_text(encoding="utf-8") == "new"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_text(file, "old")

    def fail_half_way() -> None:
        with atomic_path(file) as beside:
            beside.write_text("half", encoding="utf-8")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail_half_way()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file.bin", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.bin").stat().st_mode) == 0o640


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "value.json", {"dice": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskError, match=rf"No space left .* {tmp_path / 'note.txt'}\. Free some space"):
        write_text(tmp_path / "note.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file"), disk_errors(tmp_path):
        raise OSError(errno.EBADF, "Bad file descriptor")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with atomic_folder(folder) as beside:
        write_text(beside / "a.txt", "1")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a.txt"]

    def fail_half_way() -> None:
        with atomic_folder(tmp_path / "other") as beside:
            write_text(beside / "a.txt", "1")
            raise DiskError(f"No space left on the disk while writing {beside / 'b.txt'}.")

    with pytest.raises(DiskError, match=str(tmp_path / "other" / "b.txt")):
        fail_half_way()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    inside = file / "deep" / "run"
    message = rf"The folder {inside} cannot be created: {file} is a file\. Choose another folder\."
    with pytest.raises(UsageError, match=message):
        refuse_blocked(inside)
    with pytest.raises(UsageError, match=message), atomic_folder(inside / "x"):
        pytest.fail("nothing is done for a folder that cannot be made")
    with pytest.raises(UsageError, match=message):
        write_text(inside / "note.txt", "text")
    with (
        pytest.raises(UsageError, match=rf"The folder {file} cannot be created: {file} is"),
        disk_errors(file),
    ):
        file.mkdir()
    refuse_blocked(tmp_path)
    refuse_blocked(tmp_path / "new" / "run")
    assert file.read_text() == "mine"


def test_a_folder_in_the_way_of_a_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "note.txt"
    folder.mkdir()
    with pytest.raises(UsageError, match=rf"The file {folder} cannot be written: a folder"):
        write_text(folder, "text")
    with refuses("LEX-USE-002", "a folder of that name exists"), disk_errors(folder):
        folder.open("a+b")
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_in_the_way_elsewhere_is_not_blamed_on_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(NotADirectoryError), disk_errors(tmp_path):
        (tmp_path / "a" / "b").mkdir()
