"""An interrupted batch goes on where it stopped, and ends with the files of an unbroken one."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.errors import DataError, LexisegError
from lexiseg.inference.batches.batch import BatchSummary, predict_to_files
from lexiseg.inference.batches.batch_job import JOB_FILE
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.result import Prediction
from refusals import refuses
from threshold_predictor import Thresholds, write_image

NAMES = ("a", "b", "c", "d", "e")


class Counting(Thresholds):
    """Says which images it was asked for; fails those that it is told to fail, once or for ever."""

    def __init__(self, **failures: int) -> None:
        self.asked: list[str] = []
        self.failures = failures

    def predict_paths(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        for path, result in super().predict_paths(paths):
            self.asked.append(path.stem)
            if self.failures.get(path.stem, 0) > 0:
                self.failures[path.stem] -= 1
                yield path, DataError(f"{path} is away.", code="LEX-DATA-010")
            else:
                yield path, result


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write_image(tmp_path / "in" / f"{name}.png", (20, 30 + number))
    return tmp_path / "in"


def predict(images: Path, out: Path, predictor: Any = None, **options: Any) -> BatchSummary:
    return predict_to_files(predictor or Counting(), find_images([images]).targets, out, **options)


def interrupted(images: Path, out: Path, *, after: int, **options: Any) -> None:
    """Predict some images and stop."""
    seen: list[str] = []

    def stop(image: str, result: object) -> None:
        seen.append(image)
        if len(seen) == after:
            raise KeyboardInterrupt

    class OneByOne(Counting):
        options = PredictionOptions(batch_size=1)

    with pytest.raises(KeyboardInterrupt):
        predict(images, out, OneByOne(), on_result=stop, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def whole(images: Path, tmp_path: Path) -> dict[str, bytes]:
    """Return the files of an unbroken batch."""
    predict(images, tmp_path / "whole", formats=("mask", "overlay"))
    return content(tmp_path / "whole")


@pytest.mark.parametrize("after", [1, 2, 4])
def test_finished_images_are_not_predicted_again(
    images: Path, tmp_path: Path, whole: dict[str, bytes], after: int
) -> None:
    out, again, resumed = tmp_path / "out", Counting(), list[str]()
    interrupted(images, out, after=after, formats=("mask", "overlay"))
    assert (out / JOB_FILE).is_file()
    summary = predict(
        images,
        out,
        again,
        formats=("mask", "overlay"),
        on_resumed=lambda image: resumed.append(Path(image).stem),
    )
    assert content(out) == whole
    assert (summary.done, summary.resumed) == (5, len(resumed))
    assert len(resumed) >= after
    assert [*resumed, *again.asked] == list(NAMES)


def test_a_line_that_is_not_whole_is_left_out(images: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(images, out, after=2, formats=("mask", "overlay"))
    partial = out / "predictions.jsonl.partial"
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(lines[0] + lines[1][:-20])
    predict(images, out, again, formats=("mask", "overlay"))
    assert again.asked == ["b", "c", "d", "e"]
    assert content(out) == whole


def test_a_missing_output_is_made_again(images: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(images, out, after=4, formats=("mask", "overlay"))
    (out / "overlays" / "b.png").unlink()
    predict(images, out, again, formats=("mask", "overlay"))
    assert "b" in again.asked
    assert "a" not in again.asked
    assert content(out) == whole


def test_an_output_that_was_changed_is_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupted(images, out, after=3)
    write_image(out / "masks" / "a.png")
    with refuses("LEX-DATA-741", "masks/a.png"):
        predict(images, out)


def test_an_image_that_changed_since_is_predicted_again(images: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(images, out, after=3)
    old = (images / "b.png").stat()
    write_image(images / "b.png", (9, 10))
    os.utime(images / "b.png", ns=(old.st_atime_ns, old.st_mtime_ns))  # as a copy with its old time
    predict(images, out, again)
    assert again.asked[0] == "b"
    assert np.asarray(Image.open(out / "masks" / "b.png")).shape == (9, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="a symbolic link needs a right there")
def test_a_link_that_leads_to_another_older_file_is_predicted_again(images: Path, tmp_path: Path) -> None:
    """As in a folder that a store of versions fills with links."""
    out, again = tmp_path / "out", Counting()
    other, link = write_image(tmp_path / "store" / "other.png", (9, 10)), images / "b.png"
    shutil.move(link, tmp_path / "store" / "b.png")
    link.symlink_to(tmp_path / "store" / "b.png")
    interrupted(images, out, after=3)
    time.sleep(0.02)
    link.unlink()
    link.symlink_to(other)
    predict(images, out, again)
    assert again.asked[0] == "b"
    assert np.asarray(Image.open(out / "masks" / "b.png")).shape == (9, 10)


def test_images_that_came_or_went_meanwhile(images: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(images, out, after=3, formats=())
    (images / "a.png").unlink()
    write_image(images / "aa.png")
    summary = predict(images, out, again, formats=())
    assert again.asked[0] == "aa"
    assert "b" not in again.asked
    lines = summary.results.read_text().splitlines()
    assert [line.partition('.png"')[0][-2:].strip("/") for line in lines] == ["aa", "b", "c", "d", "e"]


@pytest.mark.parametrize("change", ["weights", "formats", "spacing", "calibration", "no job"])
def test_another_job_begins_anew(
    images: Path, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    out, again = tmp_path / "out", Counting()
    interrupted(images, out, after=3)
    writers, partial = ("mask",), out / "predictions.jsonl.partial"
    lines = partial.read_bytes().count(b"\n")
    if change == "weights":
        again.weights_sha256 = ("1" * 64,)
    elif change == "formats":
        writers = ("overlay",)
    elif change == "spacing":
        again.options = PredictionOptions(spacing_mm=(1, 2))
    elif change == "calibration":
        again.calibration = lexiseg.load("covid-xray").calibration  # type: ignore[assignment]
    else:
        (out / JOB_FILE).unlink()
    summary = predict(images, out, again, formats=writers)
    assert (again.asked, summary.resumed) == (list(NAMES), 0)
    assert not (out / JOB_FILE).exists()
    assert not partial.exists()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{partial}: {lines} lines are discarded, and the images predicted again: ")
    assert {"no job": JOB_FILE, "spacing": "spacing_mm was None, now [1.0, 2.0]"}.get(change, change) in said


def test_a_writer_that_cannot_go_on_is_said(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Own:
        name = "own"

        def ignore(self, *_: Any, **__: Any) -> None:
            pass

        open = remove_stale = write = write_failure = close = ignore

    interrupted(images, tmp_path / "out", after=3, formats=(Own(),))
    assert predict(images, tmp_path / "out", formats=(Own(),)).resumed == 0
    assert "an output format cannot go on" in caplog.text


def test_the_job_does_not_depend_on_the_batch_size(images: Path, tmp_path: Path) -> None:
    again = Counting()
    interrupted(images, tmp_path / "out", after=3)
    again.options = PredictionOptions(batch_size=3)
    assert predict(images, tmp_path / "out", again).resumed >= 3


class TestSecondTry:
    def test_a_failure_that_passes_is_recovered(
        self, images: Path, tmp_path: Path, whole: dict[str, bytes]
    ) -> None:
        predictor = Counting(b=1)
        summary = predict(images, tmp_path / "out", predictor, formats=("mask", "overlay"))
        assert (summary.done, summary.recovered, summary.failed) == (5, 1, ())
        assert predictor.asked == [*NAMES, "b"]
        assert content(tmp_path / "out") == whole

    def test_a_failure_that_stays_is_listed_once(self, images: Path, tmp_path: Path) -> None:
        predictor = Counting(b=9, d=9)
        summary = predict(images, tmp_path / "out", predictor)
        assert predictor.asked == [*NAMES, "b", "d"]
        assert [Path(image).stem for image, _ in summary.failed] == ["b", "d"]
        lines = summary.results.read_text().splitlines()
        assert ["error" in line for line in lines] == [False, True, False, True, False]

    def test_failures_are_tried_again_when_the_batch_goes_on(self, images: Path, tmp_path: Path) -> None:
        class Stopping(Counting):
            def predict_paths(self, paths: Any) -> Iterator[Any]:
                yield from super().predict_paths(paths)
                if self.failures["b"] == 7:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            predict(images, tmp_path / "out", Stopping(b=9))
        again = Counting()
        summary = predict(images, tmp_path / "out", again)
        assert again.asked[0] == "b"
        assert (summary.done, summary.failed) == (5, ())
