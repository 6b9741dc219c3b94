"""Results at a URL are uploaded as streams, and no part of a file has the name of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.remote.folder import UPLOAD_FILE, MadeRecord, RemoteFolder
from refusals import refuses
from threshold_predictor import Thresholds, write_image


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a", "exam/b"):
        write_image(tmp_path / "in" / f"{name}.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "in"


def predicted(images: Path, url: str) -> RemoteFolder:
    remote = RemoteFolder(url, command="c")
    remote.begin()
    if remote.made("inputs") is None:
        predict_to_files(Thresholds(), find_images([images]).targets, remote.work)  # type: ignore[arg-type]
        remote.finish_results(MadeRecord(inputs_sha256="inputs", failed=0))
    return remote


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_broken_upload_leaves_no_part_under_a_final_name(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    remote = predicted(images, f"file://{out.as_posix()}")
    expected = {name: content for name, content in files(remote.work).items() if not name.startswith(".")}
    whole = LocalFileSystem.put_file

    def half(self: Any, source: str, target: str, **options: Any) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:20])
        raise ConnectionError("gone")

    monkeypatch.setattr(LocalFileSystem, "put_file", half)
    with refuses("LEX-DATA-1289", "cannot be reached", "gone"):
        remote.upload()
    names = {Path(name).name for name in files(out)}
    assert UPLOAD_FILE in names
    assert all(name.startswith(".") for name in names)
    monkeypatch.setattr(LocalFileSystem, "put_file", whole)
    assert predicted(images, remote.url).upload() == 3
    assert files(out) == expected
    assert list(Path().iterdir()) == []


def test_files_of_an_interrupted_upload_are_replaced(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    remote = predicted(images, f"file://{out.as_posix()}")
    mask = (remote.work / "masks" / "a.png").read_bytes()
    (out / "masks").mkdir()
    (out / "masks" / "a.png").write_bytes(b"of an upload before")
    moved, move = [], LocalFileSystem.mv

    def fails_where_the_name_is_taken(self: Any, source: str, target: str, **options: Any) -> None:
        assert not Path(target).exists()
        moved.append(Path(target).name)
        move(self, source, target, **options)

    monkeypatch.setattr(LocalFileSystem, "mv", fails_where_the_name_is_taken)
    remote.upload()
    assert (out / "masks" / "a.png").read_bytes() == mask
    assert moved[-1] == "predictions.jsonl"


def test_files_are_uploaded_as_streams(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No whole file is handed over, except the small mark of the upload."""
    whole: list[str] = []

    def pipe_file(self: Any, path: str, value: bytes, **options: Any) -> None:
        whole.append(Path(path).name)
        with self.open(path, "wb") as file:
            file.write(value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    remote = predicted(images, "memory://uploads/out")
    try:
        assert remote.upload() == 3
        assert whole == [UPLOAD_FILE]
        system = MemoryFileSystem()
        assert system.cat_file("/uploads/out/predictions.jsonl").count(b"\n") == 2
    finally:
        MemoryFileSystem().rm("/uploads", recursive=True)
