"""Archives that climb out, link away, swell up, or are none."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from lexiseg.data import archives
from lexiseg.data.archives import ArchivedFile, archived_files, extract
from lexiseg.errors import DataError
from refusals import refuses


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_zip_and_tar(tmp_path: Path) -> None:
    extract(make_zip(tmp_path / "a.zip", {"a/b.txt": b"1", "empty/": b"", "c.txt": b"22"}), tmp_path / "zip")
    assert files(tmp_path / "zip") == {"a/b.txt": b"1", "c.txt": b"22"}
    extract(make_tar(tmp_path / "a.tar.gz", tarfile.TarInfo("a/b.txt")), tmp_path / "tar")
    assert files(tmp_path / "tar") == {"a/b.txt": b"x"}


def test_archives_inside_are_unpacked_twice_deep_at_most(tmp_path: Path) -> None:
    third = make_zip(tmp_path / "third.zip", {"c.txt": b"3"}).read_bytes()
    second = make_zip(tmp_path / "second.zip", {"b.txt": b"2", "third.zip": third}).read_bytes()
    extract(make_zip(tmp_path / "first.zip", {"x/second.zip": second}), tmp_path / "out")
    assert files(tmp_path / "out") == {"x/second/b.txt": b"2", "x/second/third.zip": third}


def test_archives_inside_have_a_folder_each(tmp_path: Path) -> None:
    train = make_zip(tmp_path / "train.zip", {"a.txt": b"1"}).read_bytes()
    test = make_zip(tmp_path / "test.zip", {"a.txt": b"2"}).read_bytes()
    outer = {"set.train.zip": train, "set.test.zip": test, "__MACOSX/._set.train.zip": b"Mac OS X"}
    extract(make_zip(tmp_path / "first.zip", outer), tmp_path / "out")
    assert files(tmp_path / "out") == {
        "set.train/a.txt": b"1",
        "set.test/a.txt": b"2",
        "__MACOSX/._set.train.zip": b"Mac OS X",
    }


def test_archives_of_one_name_replace_nothing(tmp_path: Path) -> None:
    """Neither another archive of the name, nor what lies in a folder or a file of the name."""

    def inner(content: bytes) -> bytes:
        return make_zip(tmp_path / "inner.zip", {"a.txt": content}).read_bytes()

    tar = make_tar(tmp_path / "inner.tgz", tarfile.TarInfo("a.txt"), content=b"tar").read_bytes()
    in_nested = {"x.zip": inner(b"nested"), "b.txt": b"in a.zip"}
    nested = make_zip(tmp_path / "nested.zip", in_nested).read_bytes()
    members = {
        **{"y/x.zip": inner(b"zip"), "y/x.tar": tar, "y/x.tar.gz": tar},
        **{"z.zip": inner(b"z"), "z/a.txt": b"folder", "w": b"file", "w.zip": inner(b"w")},
        **{"a/x.zip": inner(b"folder a"), "a.zip": nested, "a/b.txt": b"in a"},
    }
    extract(make_zip(tmp_path / "outer.zip", members), tmp_path / "out")
    assert files(tmp_path / "out") == {
        "y/x/a.txt": b"zip",
        "y/x-2/a.txt": b"tar",
        "y/x-3/a.txt": b"tar",
        "z/a.txt": b"folder",
        "z-2/a.txt": b"z",
        "w": b"file",
        "w-2/a.txt": b"w",
        "a/b.txt": b"in a",
        "a/x/a.txt": b"folder a",
        "a-2/b.txt": b"in a.zip",
        "a-2/x.zip": inner(b"nested"),
    }


def test_a_tar_archive_that_ends_with_a_zip_file_is_no_zip_file(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "x.zip", {"b.txt": b"2"})
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(make_zip(tmp_path / "y.zip", {"a.txt": b"1"}), "a/y.zip")
        archive.add(inner, "x.zip")
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert files(tmp_path / "out") == {"a/y/a.txt": b"1", "x/b.txt": b"2"}


def test_a_backslash_separates_folders(tmp_path: Path) -> None:
    # zipfile writes the name as given; old Windows programs separate folders like this.
    members = {"study\\IM1.dcm": b"1", "study\\empty\\": b""}
    members["study\\more.zip"] = make_zip(tmp_path / "b.zip", {"x\\IM2.dcm": b"2"}).read_bytes()
    extract(make_zip(tmp_path / "a.zip", members), tmp_path / "zip")
    assert files(tmp_path / "zip") == {"study/IM1.dcm": b"1", "study/more/x/IM2.dcm": b"2"}
    extract(make_tar(tmp_path / "a.tgz", tarfile.TarInfo("study\\IM1.dcm")), tmp_path / "tar")
    assert files(tmp_path / "tar") == {"study/IM1.dcm": b"x"}


@pytest.mark.parametrize("ending", ["zip", "tgz"])
@pytest.mark.parametrize(
    "names", [("a\\b.png", "a/b.png"), ("a/b.png", "x", "./a\\b.png"), ("a\\b/c", "a/b\\c")]
)
def test_a_backslash_that_makes_two_members_one(tmp_path: Path, ending: str, names: tuple[str, ...]) -> None:
    archive = tmp_path / f"a.{ending}"
    if ending == "zip":
        make_zip(archive, dict.fromkeys(names, b"1"))
    else:
        make_tar(archive, *map(tarfile.TarInfo, names))
    stated = repr(names[0]), repr(names[-1])
    with refuses("LEX-DATA-1815", f"{archive} holds", *stated, "Rename one"):
        archived_files(archive)
    with refuses("LEX-DATA-1815", f"{archive} holds", *stated, "nothing was extracted"):
        extract(archive, tmp_path / "out")
    assert files(tmp_path / "out") == {}


def test_a_member_that_updates_another_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in (("a\\b.txt", b"old"), ("a\\b.txt", b"new")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert archived_files(tmp_path / "a.tar") == (ArchivedFile("a/b.txt", 3),) * 2
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert files(tmp_path / "out") == {"a/b.txt": b"new"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/evil.txt",
        "C:/evil.txt",
        "a\\..\\..\\evil.txt",
        "\\evil.txt",
        "..\\x.txt",
        "\\\\server\\x.txt",
    ],
)
def test_members_that_lead_out(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    with refuses("LEX-DATA-056", "a.zip holds"):
        extract(archive, tmp_path / "inner" / "out")
    assert files(tmp_path / "inner") == {}
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = kind, "/etc/passwd"
    with refuses("LEX-DATA-055", "'link', which is"):
        extract(make_tar(tmp_path / "a.tgz", tarfile.TarInfo("good.txt"), link), tmp_path / "out")
    assert files(tmp_path / "out") == {}


def test_tar_members_that_lead_out(tmp_path: Path) -> None:
    with refuses("LEX-DATA-056", "a path outside"):
        extract(make_tar(tmp_path / "a.tgz", tarfile.TarInfo("../evil.txt")), tmp_path / "out")


def test_a_symbolic_link_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with refuses("LEX-DATA-055", "'link', which is"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_an_archive_inside_is_looked_at_too(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"../../evil.txt": b"1"}).read_bytes()
    with refuses("LEX-DATA-056", "inner.zip holds"):
        extract(make_zip(tmp_path / "a.zip", {"inner.zip": inner}), tmp_path / "out")
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_bomb_is_seen_by_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1000)
    bomb = make_zip(tmp_path / "a.zip", {f"{n}.txt": bytes(1_000_000) for n in range(3)})
    with refuses("LEX-DATA-057", "declares 3,000,000 bytes;"):
        extract(bomb, tmp_path / "out")
    assert files(tmp_path / "out") == {}


@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_archives_inside_share_one_allowance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    monkeypatch.setattr(archives, "MAX_RATIO", 1)
    inner = {}
    for name in ("a", "b"):
        if ending == "zip":
            content = make_zip(tmp_path / "inner", {f"{name}.txt": bytes(60_000)})
        else:
            content = make_tar(tmp_path / "inner", tarfile.TarInfo(f"{name}.txt"), content=bytes(60_000))
        inner[f"{name}.{ending}"] = content.read_bytes()
    with refuses("LEX-DATA-1814", "b.", "declares 60,000 bytes; outer.zip", "at most 100,000 together"):
        extract(make_zip(tmp_path / "outer.zip", inner), tmp_path / "out")
    assert not (tmp_path / "out" / "b" / "b.txt").exists()


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.txt": b"12345"})
    real = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: real._replace(free=4))
    with refuses("LEX-DISK-004", "needs 5 bytes"):
        extract(archive, tmp_path / "out")


def test_a_page_to_log_in_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("  <!doctype html><title>Log in</title>")
    with refuses("LEX-DATA-053", "web page, perhaps"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_damaged_archives(tmp_path: Path) -> None:
    good = make_zip(tmp_path / "a.zip", {"a.txt": bytes(range(256)) * 50})
    content = bytearray(good.read_bytes())
    content[60] ^= 255
    good.write_bytes(content)
    with refuses("LEX-DATA-054", "a.zip is damaged"):
        extract(good, tmp_path / "out")
    tar = make_tar(tmp_path / "a.tgz", tarfile.TarInfo("a.txt"), content=bytes(range(256)) * 500)
    tar.write_bytes(tar.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"a\.tgz is (damaged|not a \.zip)"):
        extract(tar, tmp_path / "out2")


def test_an_archive_of_a_folder_by_its_own_name(tmp_path: Path) -> None:
    """`tar -czf a.tar.gz .` writes the folder itself as "."."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "in", ".")
    extract(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_members_that_cannot_both_be_there(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"})
    with refuses("LEX-DATA-054", "out/a"):
        extract(archive, tmp_path / "out")


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.txt": b"1"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag of encryption, in the file's own head and in the list of files
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with refuses("LEX-DATA-1593", "a.zip is encrypted", "needs a password"):
        extract(path, tmp_path / "out")
