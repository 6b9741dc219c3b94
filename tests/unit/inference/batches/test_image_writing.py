"""Files are written by several threads; tables and other formats in one, in the order of the batch."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lexiseg.errors import DataError, DiskError, LexisegError
from lexiseg.inference.batches.batch import BatchSummary, predict_to_files
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Writer
from lexiseg.outputs.manifest import OUTPUTS_FILE
from threshold_predictor import Thresholds, write_image

IMAGES = 24


class Slow(ImageWriter):
    """Writes files; the first image waits until an image of the next group is written."""

    name, folder, suffix = "slow", "slow", ".txt"
    is_thread_safe = True

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.order: list[int] = []
        self._next_group = threading.Event()

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        number = int(image.target.name.name)
        if number == 0:
            assert self._next_group.wait(30)
        elif number >= 4:
            self._next_group.set()
        self.threads.add(threading.get_ident())
        self.order.append(number)
        path.write_text(str(number))


class InOrder(ImageWriter):
    """Notes who calls it, and for which image."""

    name, folder, suffix = "ordered", "ordered", ".txt"

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.order: list[int] = []

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        self.threads.add(threading.get_ident())
        self.order.append(int(image.target.name.name))
        path.write_text("")

    def write_failure(self, target: Target, error: LexisegError, batch: Batch) -> None:
        self.threads.add(threading.get_ident())
        self.order.append(-int(target.name.name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(IMAGES):
        write_image(tmp_path / "in" / f"{number:03}.png")
    return tmp_path / "in"


def run(folder: Path, out: Path, *writers: str | Writer, batch_size: int = 8) -> BatchSummary:
    predictor: Any = Thresholds()
    predictor.options = PredictionOptions(batch_size=batch_size)
    return predict_to_files(predictor, find_targets([folder]), out, formats=writers)


def test_tables_keep_the_order_whatever_thread_is_first(folder: Path, tmp_path: Path) -> None:
    slow, ordered = Slow(), InOrder()
    run(folder, tmp_path / "out", "mask", ordered, slow)
    assert len(slow.threads) > 1
    assert slow.order != sorted(slow.order)
    assert (len(ordered.threads), ordered.order) == (1, list(range(IMAGES)))
    assert not slow.threads & ordered.threads
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [int(Path(line["name"]).name) for line in lines] == list(range(IMAGES))
    for name, suffix in (("masks", ".png"), ("slow", ".txt"), ("ordered", ".txt")):
        assert sorted(p.name for p in (tmp_path / "out" / name).iterdir()) == [
            f"{number:03}{suffix}" for number in range(IMAGES)
        ]


def test_failures_take_their_place_in_the_order(folder: Path, tmp_path: Path) -> None:
    for number in (3, 7):
        (folder / f"{number:03}.png").write_bytes(b"no image")
    ordered = InOrder()
    summary = run(folder, tmp_path / "out", ordered, Slow())
    # Failures are tried again, and noted, after the others.
    assert ordered.order == [n for n in range(IMAGES) if n not in (3, 7)] + [-3, -7]
    assert len(summary.failed) == 2


def test_a_failing_format_leaves_nothing_of_its_image(folder: Path, tmp_path: Path) -> None:
    class Refusing(Slow):
        def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
            super().save(image, batch, path)
            if image.target.name.name == "005":
                raise DataError("not this one", code="LEX-DATA-013")

    ordered = InOrder()
    summary = run(folder, tmp_path / "out", "mask", Refusing(), ordered)
    assert [Path(image).name for image, _ in summary.failed] == ["005.png"]
    assert ordered.order == [n for n in range(IMAGES) if n != 5] + [-5]
    for name in ("masks", "slow", "ordered"):
        assert len(list((tmp_path / "out" / name).iterdir())) == IMAGES - 1


def test_a_failure_in_the_last_format_takes_the_files_of_the_others_away(
    folder: Path, tmp_path: Path
) -> None:
    class Refusing(InOrder):
        def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
            raise DataError("none", code="LEX-DATA-013")

    summary = run(folder, tmp_path / "out", "mask", Refusing())
    assert len(summary.failed) == IMAGES
    assert list((tmp_path / "out" / "masks").iterdir()) == []


def test_an_earlier_mask_of_an_image_that_now_fails_goes(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out", "mask")
    (folder / "002.png").write_bytes(b"no image")
    run(folder, tmp_path / "out", "mask")
    assert not (tmp_path / "out" / "masks" / "002.png").exists()
    assert len(list((tmp_path / "out" / "masks").iterdir())) == IMAGES - 1


def test_a_batch_that_is_stopped_begins_no_further_files(folder: Path, tmp_path: Path) -> None:
    begun: list[int] = []
    stopped = threading.Event()

    class Waiting(ImageWriter):
        name, folder, suffix = "waiting", "waiting", ".txt"
        is_thread_safe = True

        def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
            number = int(image.target.name.name)
            begun.append(number)
            # All four threads have work until the batch is stopped; only the first group is written before.
            assert number < 4 or stopped.wait(30)
            path.write_text("")

    class Stopping(InOrder):
        def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
            threading.Timer(2, stopped.set).start()
            raise DiskError("full", code="LEX-DISK-001")

    with pytest.raises(DiskError, match="full"):
        run(folder, tmp_path / "out", Waiting(), Stopping(), batch_size=100)
    assert len(begun) < IMAGES
    assert len(list((tmp_path / "out" / "waiting").iterdir())) == len(begun)


class Replacing(Thresholds):
    """Replaces the image 005 by one of another size after its prediction, a number of times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def predict_paths(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        for path, result in super().predict_paths(paths):
            if path.stem == "005" and self.times > 0:
                self.times -= 1
                write_image(path, (40 + self.times, 30))
            yield path, result


@pytest.mark.parametrize(("times", "failed"), [(1, []), (2, ["005"])])
def test_an_image_that_is_replaced_by_one_of_another_size_stops_no_batch(
    folder: Path, tmp_path: Path, times: int, failed: list[str]
) -> None:
    predictor: Any = Replacing(times)
    summary = predict_to_files(predictor, find_targets([folder]), tmp_path / "out", formats=["overlay"])
    assert [Path(image).stem for image, _ in summary.failed] == failed
    assert summary.done == IMAGES - len(failed)
    assert summary.recovered == 1 - len(failed)
    for _, reason in summary.failed:
        assert "replaced during the prediction: it was 30 x 41 px and is now 30 x 40 px" in reason


def test_a_batch_of_one_image_at_a_time(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out", "mask", batch_size=1)
    assert len(list((tmp_path / "out" / "masks").iterdir())) == IMAGES


def test_each_file_has_one_line_in_the_manifest(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):  # the second time, each file replaces another one
        run(folder, tmp_path / "out", "mask", Slow())
        lines = (tmp_path / "out" / OUTPUTS_FILE).read_text().splitlines()
        names = [json.loads(line)["file"] for line in lines]
        assert len(names) == len(set(names)) == 2 * IMAGES + 1


def test_a_full_disk_at_a_line_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(text: str) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lexiseg.inference.writers.records.printable_json", full)
    with pytest.raises(DiskError, match=r"No space left .*predictions\.jsonl\.partial"):
        run(folder, tmp_path / "out", "mask")


def test_a_full_disk_in_one_thread_ends_the_batch(folder: Path, tmp_path: Path) -> None:
    class Full(Slow):
        def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
            super().save(image, batch, path)
            if image.target.name.name == "009":
                raise DiskError("full", code="LEX-DISK-001")

    with pytest.raises(DiskError, match="full"):
        run(folder, tmp_path / "out", Full())
    assert not (tmp_path / "out" / "predictions.jsonl").exists()
    lines = (tmp_path / "out" / "predictions.jsonl.partial").read_text().splitlines()
    written = {int(Path(json.loads(line)["name"]).name) for line in lines}
    assert 9 not in written
    # A line is written for files that are there.
    assert all((tmp_path / "out" / "slow" / f"{number:03}.txt").exists() for number in written)
    run(folder, tmp_path / "out", Slow())
    assert len(list((tmp_path / "out" / "slow").iterdir())) == IMAGES
