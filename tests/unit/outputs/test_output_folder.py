"""An output folder: Lexiseg replaces and removes what it wrote, and nothing else."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexiseg.file_hashes import file_sha256
from lexiseg.outputs.manifest import OUTPUTS_FILE, OutputManifest, recorded_names
from lexiseg.outputs.output_folder import LOCK_FILE, OutputFolder, owned_folder
from refusals import refuses


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def folder(out: Path) -> Iterator[OutputFolder]:
    with owned_folder(out) as owned:
        yield owned


def lines_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / OUTPUTS_FILE).read_text().splitlines()]


def test_what_was_written_is_known_the_next_time(out: Path) -> None:
    with owned_folder(out) as folder:
        assert folder.is_new
        folder.write_text(out / "masks" / "a.txt", "1")
        folder.write_text(out / "b.txt", "2")
    assert sorted(path.name for path in out.iterdir()) == [OUTPUTS_FILE, "b.txt", "masks"]
    assert lines_of(out) == [
        {"schema_version": 1, "file": "b.txt", "sha256": file_sha256(out / "b.txt")},
        {"schema_version": 1, "file": "masks/a.txt", "sha256": file_sha256(out / "masks" / "a.txt")},
    ]
    with owned_folder(out) as folder:
        assert not folder.is_new
        folder.refuse_others([out / "b.txt", out / "new.txt"], [out / "masks" / "a.txt"])
        folder.write_text(out / "b.txt", "3")
        folder.remove(out / "masks" / "a.txt")
    assert recorded_names(out) == {"b.txt"}
    assert lines_of(out) == [{"schema_version": 1, "file": "b.txt", "sha256": file_sha256(out / "b.txt")}]


def test_a_second_owner_is_refused(out: Path, folder: OutputFolder) -> None:
    with refuses("LEX-USE-740", str(out), f"process {os.getpid()} on"), owned_folder(out):
        pytest.fail("the folder has an owner")
    assert (out / LOCK_FILE).is_file()


def test_nothing_stays_where_nothing_was_written(out: Path) -> None:
    with owned_folder(out):
        assert (out / LOCK_FILE).is_file()
    assert not out.exists()


def test_foreign_files_are_refused_and_stay(out: Path, folder: OutputFolder) -> None:
    for number in range(7):
        (out / f"{number}.txt").write_text("mine")
    (out / "link.txt").symlink_to(out / "nowhere")
    (out / "folder.txt").mkdir()
    with refuses("LEX-DATA-740", "0.txt, ", "4.txt and 2 more"):
        folder.refuse_others([out / f"{number}.txt" for number in range(7)])
    for name in ("link.txt", "folder.txt"):
        with refuses("LEX-DATA-740", name):
            folder.refuse_others([out / name])
    folder.refuse_others([out / "free.txt"], [out / "0.txt"])  # it stays, so nothing is lost
    folder.remove(out / "0.txt")
    with refuses("LEX-DATA-744", "1.txt"):
        folder.write_text(out / "1.txt", "ours")
    assert (out / "0.txt").read_text() == (out / "1.txt").read_text() == "mine"
    assert not list(out.rglob(".partial-*"))


def test_changed_files_are_refused_and_stay(out: Path) -> None:
    with owned_folder(out) as folder:
        folder.write_text(out / "card.html", "ours")
        folder.write_text(out / "mask.png", "ours")
    (out / "card.html").write_text("ours, with a note")
    with owned_folder(out) as folder:
        for written, removed in (([out / "card.html"], []), ([], [out / "card.html"])):
            with refuses("LEX-DATA-741", "card.html"):
                folder.refuse_others(written, removed)
        folder.remove(out / "card.html")
        with refuses("LEX-DATA-744", "card.html"):
            folder.write_text(out / "card.html", "new")
    assert (out / "card.html").read_text() == "ours, with a note"


def test_a_kill_between_line_and_renaming_leaves_no_foreign_file(out: Path) -> None:
    with owned_folder(out) as folder:
        folder.write_text(out / "a.txt", "old")
    manifest = OutputManifest(out)
    (out.parent / "new").write_text("new")
    manifest.add("a.txt", out.parent / "new")
    manifest.add("b.txt", out.parent / "new")
    manifest.close()
    with open(out / OUTPUTS_FILE, "a") as lines:
        lines.write('{"schema_version": 1, "fi')  # a line that was cut by the kill
    with owned_folder(out) as folder:
        assert folder.owns(out / "a.txt")
        folder.refuse_others([out / "a.txt", out / "b.txt"])
        folder.write_text(out / "c.txt", "1")
    # The content of a.txt is the old one: the kill came before the renaming.
    assert [(line["file"], line["sha256"]) for line in lines_of(out)] == [
        ("a.txt", file_sha256(out / "a.txt")),
        ("c.txt", file_sha256(out / "c.txt")),
    ]
    with owned_folder(out) as folder:
        folder.write_text(out / "a.txt", "newer")
    assert lines_of(out)[0] == {"schema_version": 1, "file": "a.txt", "sha256": file_sha256(out / "a.txt")}
    assert len(lines_of(out)) == 2


def test_kills_leave_no_second_line_of_a_file(out: Path) -> None:
    """A process is killed before a renaming, and the next one after it; the third finds the file finished."""
    content = out.parent / "new"
    content.write_text("1")
    out.mkdir()
    for _ in range(2):
        manifest = OutputManifest(out)
        manifest.add("a.txt", content)
        manifest.close()
    (out / "a.txt").write_text("1")
    with owned_folder(out):
        pass
    assert lines_of(out) == [{"schema_version": 1, "file": "a.txt", "sha256": file_sha256(content)}]


def test_both_contents_of_a_file_that_somebody_changed_stay(out: Path) -> None:
    out.mkdir()
    manifest = OutputManifest(out)
    for text in ("1", "2", "1"):
        (out.parent / "new").write_text(text)
        manifest.add("a.txt", out.parent / "new")
    manifest.close()
    (out / "a.txt").write_text("a note")
    with owned_folder(out) as folder:
        assert not folder.owns(out / "a.txt")
    assert len(lines_of(out)) == 2


def test_lines_are_written_before_files_get_their_names(out: Path, folder: OutputFolder) -> None:
    with folder.writing(out / "a.txt") as beside:
        beside.write_text("1")
    assert lines_of(out)[-1]["file"] == "a.txt"
    with pytest.raises(KeyboardInterrupt), folder.writing(out / "b.txt") as beside:
        raise KeyboardInterrupt
    assert not (out / "b.txt").exists()


def test_the_content_before_a_replacement_is_not_known_any_more(out: Path, folder: OutputFolder) -> None:
    file = out / "a.png"
    folder.write_bytes(file, b"first")
    assert folder.owns(file)
    folder.write_bytes(file, b"second")
    assert folder.owns(file)
    file.write_bytes(b"first")  # a person put the earlier file back
    assert not folder.owns(file)
    with refuses("LEX-DATA-744", "a.png"):
        folder.write_bytes(file, b"third")
    assert file.read_bytes() == b"first"


def test_bytes_that_do_not_get_their_name_leave_the_file_as_it_was(
    out: Path, folder: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = out / "a.png"
    folder.write_bytes(file, b"first")

    def full(*paths: object) -> None:
        assert lines_of(out)[-1]["sha256"] == hashlib.sha256(b"second").hexdigest()
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("lexiseg.files.os.replace", full)
        with refuses("LEX-DISK-002", "a.png"):
            folder.write_bytes(file, b"second")
    assert file.read_bytes() == b"first"
    assert folder.owns(file)
    assert not list(out.glob(".partial-*"))
    folder.write_bytes(file, b"second")
    assert folder.owns(file)


@pytest.mark.parametrize("content", [b"no json\n", b'{"file": 1}\n', b"[" * 100000 + b"\n", b"\xff\xfe\n"])
def test_a_damaged_manifest_is_refused(out: Path, content: bytes) -> None:
    out.mkdir()
    (out / OUTPUTS_FILE).write_bytes(content)
    with refuses("LEX-DATA-743", "line 1 is damaged"), owned_folder(out):
        pytest.fail("nobody knows what belongs to whom")
    assert [path.name for path in out.iterdir()] == [OUTPUTS_FILE]


def test_a_manifest_that_cannot_be_read_is_refused(out: Path) -> None:
    (out / OUTPUTS_FILE).mkdir(parents=True)
    with refuses("LEX-DATA-742", OUTPUTS_FILE):
        recorded_names(out)
    assert recorded_names(out.parent) is None


def test_names_that_are_not_unicode_are_known(out: Path) -> None:
    file = out / os.fsdecode(b"\xff.png")
    try:
        with owned_folder(out) as folder:
            folder.write_text(file, "1")
    except OSError:
        pytest.skip("this disk takes Unicode names only")
    with owned_folder(out) as folder:
        assert folder.owns(file)


def test_what_a_killed_process_left_is_removed(out: Path) -> None:
    out.mkdir()
    (out / ".partial-abcd1234.html").write_text("half")
    with owned_folder(out) as folder:
        folder.write_text(out / "a.txt", "1")
    assert sorted(path.name for path in out.iterdir()) == [OUTPUTS_FILE, "a.txt"]
