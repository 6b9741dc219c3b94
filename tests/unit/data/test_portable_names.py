"""Names of files from elsewhere: every system stores them, none is lost, and each can be given back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

from lexiseg.data import archives, portable_names
from lexiseg.data.archives import extract
from lexiseg.data.portable_names import PortablePlaces, portable_name

HARMLESS = ("a.png", "M\u00fcller 1.png", ".hidden", "console.png", "com.png", "a..b")
HOSTILE = (
    "a:b.png",
    'x<>"|?*.png',
    "a\tb",
    "nul",
    "NUL .txt",
    "Com1.nii.gz",
    "a.",
    "a ",
    "a%3Ab.png",
    "\u03b2?",
)


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_names_stay(name: str) -> None:
    assert portable_name(name) == name


def test_hostile_names_are_stored_and_given_back() -> None:
    stored = [portable_name(name) for name in HOSTILE]
    assert [unquote(name) for name in stored] == list(HOSTILE)
    assert len({name.casefold() for name in stored}) == len(HOSTILE)
    for name in stored:
        assert not set('<>:"|?*\\\t').intersection(name)
        assert not name.endswith((".", " "))
        assert name.split(".")[0].strip().lower() not in {"nul", "com1"}


def archive_of(file: Path, *names: str) -> Path:
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, name)
    return file


def written(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_an_archive_with_names_that_windows_forbids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of(tmp_path / "a.zip", "masks/a:b.png", "masks/a_b.png", "nul/x?.png")
    extract(archive, tmp_path / "here")
    assert set(written(tmp_path / "here")) == {"masks/a:b.png", "masks/a_b.png", "nul/x?.png"}
    monkeypatch.setattr(archives, "PortablePlaces", lambda folder: PortablePlaces(folder, windows=True))
    extract(archive, tmp_path / "there")
    assert written(tmp_path / "there") == {
        "masks/a%3Ab.png": "masks/a:b.png",
        "masks/a_b.png": "masks/a_b.png",
        "%6Eul/x%3F.png": "nul/x?.png",
    }


def test_names_that_a_disk_takes_for_one_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ab.png", "AB.png", "Ab.png", "aB.png", "d/M\u00fc.png", "d/Mu\u0308.png")

    def alike(place: Path, other: Path) -> bool:
        return portable_names._key(place) == portable_names._key(other)  # type: ignore[arg-type]

    monkeypatch.setattr(portable_names, "_are_one_file", alike)
    extract(archive_of(tmp_path / "a.zip", *names), tmp_path / "out")
    found = written(tmp_path / "out")
    assert sorted(found.values()) == sorted(names)
    assert len({portable_names._key(Path(name)) for name in found}) == len(names)  # type: ignore[arg-type]
    assert {unquote(stored): name for stored, name in found.items()} == {name: name for name in names}


def test_the_last_file_of_a_name_still_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.png", "first")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("a.png", "last")
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert written(tmp_path / "out") == {"a.png": "last"}
