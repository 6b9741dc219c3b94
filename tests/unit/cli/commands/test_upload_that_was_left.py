"""A command whose upload failed uploads finished results only where they are those of its inputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from click.testing import Result
from fsspec.implementations.local import LocalFileSystem
from typer.testing import CliRunner

from dicom_files import dicom_file, ramp
from dicomweb_server import dicomweb_service
from lexiseg.cli.app import app
from lexiseg.cli.commands.predict import work
from lexiseg.errors import LexisegError, ResourceError
from threshold_predictor import Thresholds, write_image

LOADED = work._loaded


class Counting(Thresholds):
    """A predictor that says which images it was asked for."""

    run = SimpleNamespace(**vars(Thresholds.run))
    asked: ClassVar[list[str]] = []

    def predict_paths(self, paths: Iterable[Path]) -> Iterator[Any]:
        for path, result in super().predict_paths(paths):
            self.asked.append(path.stem)
            yield path, result


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_image(tmp_path / "in" / "a.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Counting.asked = []
    monkeypatch.setattr(work, "_loaded", lambda request: Counting())
    return tmp_path / "in"


@pytest.fixture(params=["a.zip", "a.tar.gz", "dicomweb"])
def copied(request: pytest.FixtureRequest, images: Path) -> Iterator[str]:
    """Return a source whose images are copied to a private folder by each command."""
    if request.param == "dicomweb":
        files = [dicom_file(images.parent / "a.dcm", ramp(), number=1)]
        with dicomweb_service(files) as service:
            yield f"{service.address}/studies/2.25.1"
        return
    yield shutil.make_archive(
        str(images.parent / "a"), "zip" if request.param == "a.zip" else "gztar", images
    )


def predict(images: Path, source: str = "") -> Result:
    out = f"file://{(images.parent / 'out').as_posix()}"
    return CliRunner().invoke(app, ["predict", "covid-xray", source or str(images), "--out", out])


def failing_upload(images: Path, source: str = "") -> None:
    """Predict, and lose the connection at the upload."""

    def gone(self: Any, *names: str, **options: Any) -> None:
        raise ConnectionError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalFileSystem, "put_file", gone)
        result = predict(images, source)
    assert isinstance(result.exception, LexisegError)
    assert result.exception.code == "LEX-DATA-1289"


def uploaded(images: Path) -> list[str]:
    lines = (images.parent / "out" / "predictions.jsonl").read_text().splitlines()
    assert list(Path().iterdir()) == []
    return [json.loads(line)["image"].rpartition("/")[2] for line in lines]


def test_the_same_images_are_not_predicted_again(images: Path) -> None:
    failing_upload(images)
    result = predict(images)
    assert result.exit_code == 0
    assert "the upload was left" in result.output
    assert uploaded(images) == ["a.png"]
    assert Counting.asked == ["a"]


def test_images_of_private_copies_are_not_predicted_again(images: Path, copied: str) -> None:
    failing_upload(images, copied)
    assert len(Counting.asked) == 1
    result = predict(images, copied)
    assert result.exit_code == 0
    assert "the upload was left" in result.output
    assert len(uploaded(images)) == len(Counting.asked) == 1


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_a_changed_image_in_an_archive_is_predicted_again(images: Path, kind: str) -> None:
    for size in ((20, 30), (20, 31)):
        write_image(images / "a.png", size)
        archive = shutil.make_archive(str(images.parent / "a"), kind, images)
        failing_upload(images, archive)
    assert predict(images, archive).exit_code == 0
    assert Counting.asked == ["a", "a"]
    assert json.loads((images.parent / "out" / "predictions.jsonl").read_text())["size"] == [20, 31]


def test_a_new_image_is_predicted(images: Path) -> None:
    failing_upload(images)
    write_image(images / "b.png")
    failing_upload(images)
    assert predict(images).exit_code == 0
    assert uploaded(images) == ["a.png", "b.png"]
    assert Counting.asked == ["a", "a", "b"]


def test_an_image_that_changed_is_predicted_again(images: Path) -> None:
    failing_upload(images)
    write_image(images / "a.png", (22, 30))
    assert predict(images).exit_code == 0
    line = json.loads((images.parent / "out" / "predictions.jsonl").read_text())
    assert line["size"] == [22, 30]


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("weights_sha256", ("1" * 64,)),
        ("compares_images", True),
        ("engine", SimpleNamespace(description="x")),
    ],
)
def test_a_run_that_changed_predicts_again(
    images: Path, monkeypatch: pytest.MonkeyPatch, what: str, value: Any
) -> None:
    failing_upload(images)
    monkeypatch.setattr(Counting, what, value)
    assert predict(images).exit_code == 0
    assert Counting.asked == ["a", "a"]


def test_failures_of_before_are_no_success(images: Path) -> None:
    (images / "broken.png").write_bytes(b"no image")
    failing_upload(images)
    result = predict(images)
    assert isinstance(result.exception, LexisegError)
    assert result.exception.code == "LEX-PART-1831"
    assert "1 image, volume or output failed" in str(result.exception)
    assert uploaded(images) == ["a.png", "broken.png"]


@pytest.mark.parametrize("mistake", ["a path", "the run", "the engine", "the cluster"])
def test_a_mistake_leaves_no_mark_of_an_upload(
    images: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    out = images.parent / "out"
    line = ["predict", "covid-xray", str(images), "--out", f"file://{out.as_posix()}"]
    codes = {
        "a path": "LEX-DATA-099",
        "the run": "LEX-RUN-",
        "the engine": "LEX-USE-870",
        "the cluster": "LEX-",
    }
    with monkeypatch.context() as patch:
        patch.setattr(work, "_loaded", LOADED)
        wrong = {"a path": [*line[:2], "imgz", *line[3:]], "the run": [line[0], "covid-xrai", *line[2:]]}
        more = {"the engine": ["--engine", "onnx", "--explain"], "the cluster": ["--ray", "127.0.0.1:1"]}
        if mistake == "the cluster":
            patch.setattr(work, "_on_cluster", no_cluster)
        refused = CliRunner().invoke(app, wrong.get(mistake, line) + more.get(mistake, []))
    assert isinstance(refused.exception, LexisegError)
    assert refused.exception.code.startswith(codes[mistake])
    assert list(Path().iterdir()) == []
    assert not out.exists()
    assert CliRunner().invoke(app, line).exit_code == 0
    assert uploaded(images) == ["a.png"]


def test_the_mark_of_an_upload_holds_the_engine_as_it_is_chosen(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command with --explain goes on with an upload that an earlier commit began."""
    marks: list[str] = []

    def marked(url: str, *, command: str, inner: str = "") -> None:
        marks.append(command)
        raise ResourceError("stopped", code="LEX-RES-007")

    monkeypatch.setattr("lexiseg.inference.remote.folder.RemoteFolder", marked)
    line = ["predict", "covid-xray", str(images), "--out", "file:///x", "--explain"]
    assert CliRunner().invoke(app, line).exit_code != 0
    assert CliRunner().invoke(app, [*line, "--engine", "torch"]).exit_code != 0
    assert [mark.split()[-4] for mark in marks] == ["auto", "torch"]


def no_cluster(*_: object) -> None:
    raise ResourceError("There is no cluster.", code="LEX-RES-007")
