from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lexiseg.errors import DiskError, UsageError
from lexiseg.files import (
    atomic_folder,
    atomic_path,
    disk_errors,
    file_mode,
    fitting_name,
    make_folder,
    private_opener,
    refuse_blocked,
    remove_leftover_folders,
    remove_leftovers,
    share_files,
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


def test_threads_that_ask_for_a_mode_leave_the_umask_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    umask, before = os.umask, os.umask(0o022)

    def slow(mask: int) -> int:
        found = umask(mask)
        time.sleep(0.002)
        return found

    monkeypatch.setattr(os, "umask", slow)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: file_mode(private=False), range(16))) == {0o644}
    finally:
        after = umask(before)
    assert after == 0o022


@pytest.mark.parametrize("write", [lambda file: write_text(file, "x"), lambda file: write_bytes(file, b"x")])
def test_the_disk_is_waited_for_on_a_file_that_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    """Windows refuses it on a file that is open for reading only."""
    fcntl = pytest.importorskip("fcntl", reason="needs a system that tells how a file was opened")
    flags: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flags.append(fcntl.fcntl(handle, fcntl.F_GETFL)))
    write(tmp_path / "note")
    assert [flag & os.O_ACCMODE for flag in flags] in ([os.O_RDWR], [os.O_WRONLY])


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def _shared() -> Iterator[None]:
    share_files(True)
    yield
    share_files(False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_all(folder: Path, *, private: bool = True) -> None:
    """Write a file in each way, into folders that are made for it."""
    write_text(folder / "a" / "b" / "text.txt", "1", private=private)
    with atomic_folder(folder / "c" / "run", private=private) as beside:
        write_text(beside / "text.txt", "1", private=private)
    with atomic_path(folder / "replaced.txt", private=private) as path:
        path.unlink()
        path.write_text("some libraries replace the file that they are given")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], indirect=True)
class TestModes:
    def test_files_and_folders_are_private(self, tmp_path: Path, umask: int) -> None:
        write_all(tmp_path / "out")
        write_bytes(tmp_path / "out" / "bytes.bin", b"1")
        with open(tmp_path / "out" / "lines.jsonl", "w", opener=private_opener) as lines:
            lines.write("1")
        made = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
        assert len(made) == 10
        assert {path.name: mode(path) for path in made} == {
            path.name: 0o700 if path.is_dir() else 0o600 for path in made
        }

    @pytest.mark.usefixtures("_shared")
    def test_shared_files_follow_the_umask(self, tmp_path: Path, umask: int) -> None:
        write_all(tmp_path / "out")
        for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
            assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~umask, path

    def test_files_without_patients_follow_the_umask(self, tmp_path: Path, umask: int) -> None:
        write_all(tmp_path / "out", private=False)
        for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
            assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~umask, path

    def test_existing_folders_keep_their_mode(self, tmp_path: Path, umask: int) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        mine.chmod(0o755)
        assert make_folder(mine / "a" / "b") == [mine / "a", mine / "a" / "b"]
        assert make_folder(mine / "a") == []
        write_text(mine / "note.txt", "1")
        assert (mode(mine), mode(mine / "a"), mode(mine / "note.txt")) == (0o755, 0o700, 0o600)


class TestNames:
    @pytest.mark.parametrize("name", ["a", "x" * 250, "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 125])
    def test_a_name_that_fits_stays(self, name: str) -> None:
        assert fitting_name(name, room=5) == name

    @pytest.mark.parametrize(
        "letter", ["x", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "\N{CJK UNIFIED IDEOGRAPH-4E00}"]
    )
    def test_a_long_name_is_shortened_always_in_the_same_way(self, tmp_path: Path, letter: str) -> None:
        name = letter * (251 // len(letter.encode()) + 1)
        short = fitting_name(name, room=5)
        assert short == fitting_name(name, room=5) != fitting_name(f"{name}2", room=5)
        kept, _, digits = short.rpartition("-")
        assert name.startswith(kept)
        assert digits == hashlib.sha256(name.encode()).hexdigest()[:10]
        assert 250 - len(letter.encode()) < len(short.encode()) <= 250
        write_text(tmp_path / f"{short}.html", "1")

    def test_a_path_that_no_disk_takes_is_said(self, tmp_path: Path) -> None:
        with refuses("LEX-USE-742", "too long"):
            write_text(tmp_path / ("x" * 300), "1")


class TestLeftovers:
    def test_what_a_kill_left_is_removed_and_nothing_else(self, tmp_path: Path) -> None:
        for name in (".partial-abcdef12.png", ".partial-abcdef_2", "deep/.partial-abcdefgh.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("half")
        kept = [".partial-notes.txt", ".partial-abcdef12.png.txt", "a.partial-abcdef12.png"]
        for name in kept:
            (tmp_path / name).write_text("mine")
        remove_leftovers(tmp_path)
        assert (tmp_path / "deep" / ".partial-abcdefgh.png").exists()
        remove_leftovers(tmp_path, recursive=True)
        assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)

    def test_folders_of_this_name_alone(self, tmp_path: Path) -> None:
        with atomic_folder(tmp_path / "run") as beside:
            shutil.copytree(beside, tmp_path / beside.name.replace("run-", "run-2-"))
            last = "a" if beside.name.endswith("_") else "_"
            shutil.copytree(beside, tmp_path / f"{beside.name[:-1]}{last}")
        assert len(list(tmp_path.iterdir())) == 3
        (tmp_path / "run").rmdir()
        remove_leftover_folders(tmp_path / "run")
        (other,) = tmp_path.iterdir()
        assert other.name.startswith(".partial-run-2-")

    def test_a_folder_that_another_process_made_meanwhile(self, tmp_path: Path) -> None:
        with refuses("LEX-USE-741", "in the meantime"), atomic_folder(tmp_path / "run"):
            write_text(tmp_path / "run" / "a.txt", "other")
        assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_names_that_are_not_unicode_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", os.fsdecode(b"\xff.png"))
    assert (tmp_path / "a.txt").read_text() == "\\udcff.png"


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


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("below", ["", "more", "more/deeper"])
def test_a_link_to_nothing_in_the_way_of_a_folder_is_named(tmp_path: Path, below: str, early: bool) -> None:
    link = tmp_path / "dang"
    link.symlink_to(tmp_path / "nowhere")
    with refuses(
        "LEX-USE-1930", f"The folder {link / below} cannot be created", "a link to", "does not exist"
    ):
        (refuse_blocked if early else make_folder)(link / below)
    with refuses("LEX-USE-1930", str(link)):
        write_text(link / below / "a.txt", "b")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such places")
@pytest.mark.parametrize("folder", ["/dev/null/x", "/dev/null/x/y", "/proc/lexiseg", "/proc/lexiseg/x"])
def test_a_place_that_holds_no_folders_is_named(folder: str) -> None:
    if not Path(folder).parents[-2].exists():
        pytest.skip("this system has no such place")
    with refuses("LEX-USE-1930", f"The folder {folder} cannot be created"):
        make_folder(folder)


def test_a_folder_that_another_thread_makes_meanwhile_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, looked = tmp_path / "a" / "b", os.path.isdir

    def look(path: str | Path) -> bool:
        found = looked(path)
        wanted.mkdir(parents=True, exist_ok=True)  # right after the look
        return found

    monkeypatch.setattr("lexiseg.files.os.path.isdir", look)
    assert make_folder(wanted) == []
