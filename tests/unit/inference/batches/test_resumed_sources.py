"""An interrupted batch from URLs or archives goes on, and ends with the files of an unbroken one."""

from __future__ import annotations

import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lexiseg.errors import DiskError
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.remote.folder import RemoteFolder
from lexiseg.inference.sources.local_sources import local_sources
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage
from lexiseg.inference.writers.tar import into_archives
from threshold_predictor import Thresholds, write_image

NAMES = ("a", "exam/b", "exam/c", "d")


class Counting(Thresholds):
    """Counts the images that it predicts, one at a time."""

    options = PredictionOptions(batch_size=1)

    def __init__(self) -> None:
        self.asked = 0

    def predict_paths(self, paths: Any) -> Iterator[Any]:
        for found in super().predict_paths(paths):
            self.asked += 1
            yield found


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return a folder at a URL, an archive, and an archive at a URL, all with the same images."""
    system = fsspec.filesystem("memory")
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        for number, name in enumerate(NAMES):
            image = write_image(tmp_path / "in" / f"{name}.png", (20, 30 + number))
            tar.add(image, f"{name}.png")
            system.pipe_file(f"/resumed/in/{name}.png", image.read_bytes())
    system.pipe_file("/resumed/x.tar", archive.read_bytes())
    yield {"url": "memory://resumed/in", "tar": str(archive), "tar at a url": "memory://resumed/x.tar"}
    system.rm("/resumed", recursive=True)


def predict(source: str, out: Path, predictor: Any, **options: Any) -> Any:
    return predict_to_files(predictor, find_images([source], out=out).targets, out, **options)


def interrupted(source: str, out: Path, *, after: int, **options: Any) -> None:
    """Predict some images and stop, with a temporary copy of an image as a killed process leaves it."""
    done: list[str] = []

    def stop(image: str, result: object) -> None:
        done.append(image)
        if len(done) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(source, out, Counting(), on_result=stop, **options)
    (out / ".partial-abcdefgh.png").write_bytes(b"half an image")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["url", "tar", "tar at a url"])
@pytest.mark.parametrize("in_archives", [False, True])
@pytest.mark.parametrize("after", [1, 3])
def test_it_goes_on(
    sources: dict[str, str], tmp_path: Path, kind: str, in_archives: bool, after: int
) -> None:
    def writers() -> Any:
        return into_archives(("mask",), 2) if in_archives else ("mask", "overlay")

    whole, out, again = tmp_path / "whole", tmp_path / "out", Counting()
    predict(sources[kind], whole, Counting(), formats=writers())
    interrupted(sources[kind], out, after=after, formats=writers())
    summary = predict(sources[kind], out, again, formats=writers())
    assert content(out) == content(whole)
    assert summary.done == 4
    assert summary.resumed + again.asked == 4
    if not in_archives:
        assert summary.resumed >= after


def predict_copies(source: str, out: Path, predictor: Any, **options: Any) -> Any:
    """Predict the images of an archive that each command unpacks anew."""
    with local_sources([source]) as local:
        found = find_images(local.patterns, out=out, labels=local.labels)
        return predict_to_files(predictor, found.targets, out, **options)


def stopped(image: str, result: object) -> None:
    raise KeyboardInterrupt


def zipped(tmp_path: Path, names: Sequence[str]) -> str:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.write(write_image(tmp_path / "in" / f"{name}.png", (20, 30 + number)), f"{name}.png")
    return str(tmp_path / "x.zip")


def test_an_archive_that_is_replaced_before_the_job_begins_has_changed(tmp_path: Path) -> None:
    source, out, again = zipped(tmp_path, NAMES), tmp_path / "out", Counting()
    with local_sources([source]) as local:
        time.sleep(0.02)
        zipped(tmp_path, NAMES)
        time.sleep(0.02)
        found = find_images(local.patterns, out=out, labels=local.labels)
        with pytest.raises(KeyboardInterrupt):
            predict_to_files(Counting(), found.targets, out, on_result=stopped)
    assert predict_copies(source, out, again).resumed == 0
    assert again.asked == 4


@pytest.mark.parametrize("change", [False, True])
def test_finished_images_of_an_unpacked_archive_are_not_predicted_again(tmp_path: Path, change: bool) -> None:
    source, out, again = zipped(tmp_path, NAMES), tmp_path / "out", Counting()
    with pytest.raises(KeyboardInterrupt):
        predict_copies(source, out, Counting(), on_result=stopped)
    if change:
        time.sleep(0.02)
        zipped(tmp_path, NAMES)
    summary = predict_copies(source, out, again)
    assert (summary.resumed > 0) is not change
    assert summary.resumed + again.asked == 4
    predict_copies(source, tmp_path / "whole", Counting())
    assert content(out) == content(tmp_path / "whole")


def test_finished_images_of_a_web_service_are_not_predicted_again(tmp_path: Path) -> None:
    """Nothing tells whether they changed, as of other images at a URL."""
    out, again = tmp_path / "out", Counting()

    def predict_service(predictor: Any, **options: Any) -> Any:
        folder = tmp_path / f"copies-{time.monotonic_ns()}"
        for number, name in enumerate(NAMES):
            write_image(folder / f"{name}.png", (20, 30 + number))
        found = find_images([folder], out=out, labels={folder: "https://pacs/studies"})
        return predict_to_files(predictor, found.targets, out, **options)

    with pytest.raises(KeyboardInterrupt):
        predict_service(Counting(), on_result=stopped)
    summary = predict_service(again)
    assert summary.resumed >= 1
    assert summary.resumed + again.asked == 4


class Broken(ImageWriter):
    """Fails at its second image."""

    name, folder, suffix = "broken", "broken", ".txt"

    def __init__(self, error: Exception, *, in_threads: bool) -> None:
        self.error, self.written, self.is_thread_safe = error, 0, in_threads

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        self.written += 1
        if self.written == 2:
            raise self.error


@pytest.mark.parametrize("in_threads", [False, True])
@pytest.mark.parametrize("kind", ["url", "tar"])
@pytest.mark.parametrize("error", [DiskError("full", code="LEX-DISK-002"), RuntimeError("a fault"), None])
def test_no_copy_of_an_image_stays_where_a_batch_ends_early(
    sources: dict[str, str], tmp_path: Path, kind: str, error: Exception | None, in_threads: bool
) -> None:
    """Images that are fetched ahead are removed too, and no thread goes on."""
    out, threads = tmp_path / "out", set(threading.enumerate())

    def stop(image: str, result: object) -> None:
        raise KeyboardInterrupt

    ending = KeyboardInterrupt if error is None else type(error)
    writers, on_result = (
        (("mask",), stop) if error is None else (("mask", Broken(error, in_threads=in_threads)), None)
    )
    with pytest.raises(ending):
        predict(sources[kind], out, Counting(), formats=writers, on_result=on_result)
    assert list(out.rglob(".partial-*")) == []
    assert not [one.name for one in set(threading.enumerate()) - threads if one.name.startswith("lexiseg-")]


def test_an_archive_that_changed_since_is_read_again(sources: dict[str, str], tmp_path: Path) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(sources["tar"], out, after=3)
    archive = Path(sources["tar"])
    archive.write_bytes(archive.read_bytes())
    assert predict(sources["tar"], out, again).resumed == 0
    assert again.asked == 4


def test_results_at_a_url_go_on(
    sources: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is interrupted while it predicts images of an archive at a URL into another URL."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    again = Counting()
    remote = RemoteFolder("memory://resumed/out", command="c")
    remote.begin()
    interrupted(sources["tar at a url"], remote.work, after=2)
    remote = RemoteFolder("memory://resumed/out", command="c")
    remote.begin()
    assert remote.made("inputs") is None
    summary = predict(sources["tar at a url"], remote.work, again)
    assert summary.resumed >= 2
    assert summary.resumed + again.asked == 4
    assert remote.upload() == 5
    system = fsspec.filesystem("memory")
    names = {name.removeprefix("/resumed/out/") for name in system.find("/resumed/out")}
    assert names == {*(f"masks/x/{name}.png" for name in NAMES), "predictions.jsonl"}
    assert list(Path().iterdir()) == []
