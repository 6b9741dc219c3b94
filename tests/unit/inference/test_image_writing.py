"""Files are written by several threads; tables and other formats in one, in the order of the batch."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lexiseg.errors import DataError, DiskError, LexisegError
from lexiseg.inference.batch import BatchSummary, predict_to_files
from lexiseg.inference.targets import find_targets
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Target, Writer
from threshold_predictor import Thresholds, write_image

IMAGES = 24


class Slow(ImageWriter):
    """Writes files; every eighth image takes longest."""

    name, folder, suffix = "slow", "slow", ".txt"
    is_thread_safe = True

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.order: list[int] = []

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        number = int(image.target.name.name)
        time.sleep(0.02 if number % 8 == 0 else 0.001)
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


def run(folder: Path, out: Path, *writers: str | Writer) -> BatchSummary:
    predictor: Any = Thresholds()
    return predict_to_files(predictor, find_targets([folder]), out, writers=writers)


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
    assert [path.name for path, _ in summary.failed] == ["005.png"]
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
