"""The table of a batch holds what its lines hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lexiseg
from lexiseg.errors import DiskError
from lexiseg.extras import install_hint
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.writers import parquet
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Writer
from refusals import refuses
from threshold_predictor import Thresholds, write_image


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parquet")
    rng = np.random.default_rng(0)
    for name in ("a", "c"):
        Image.fromarray(rng.integers(0, 255, (40, 50), dtype=np.uint8)).save(root / f"{name}.png")
    (root / "b.png").write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_ROWS", 2)
        predictor = lexiseg.load("covid-xray", spacing_mm=(0.5, 0.5))
        lexiseg.predict_to_files(
            predictor, find_images([root]).targets, root / "out", formats=("mask", "parquet")
        )
    return root / "out"


def test_rows_hold_what_lines_hold(out: Path) -> None:
    lines = [json.loads(line) for line in (out / "predictions.jsonl").open()]
    rows = pq.read_table(out / "predictions.parquet").to_pylist()
    assert [row["image"] for row in rows] == [line["image"] for line in lines]
    first, failed, _ = rows
    assert (first["mask"], first["height"], first["width"]) == ("masks/a.png", 40, 50)
    assert first["area_px_lesion"] == lines[0]["area_px"]["lesion"]
    assert first["area_mm2_lesion"] == lines[0]["area_px"]["lesion"] / 4
    for word in lines[0]["words"]:
        assert first[f"word_{word['factor']}"] == word["phrase"]
        assert first[f"confidence_{word['factor']}"] == word["confidence"]
        assert first[f"measured_{word['factor']}"] == lines[0]["measured"][word["factor"]]
    for name in ("agreement", "flagged", "reasons", "expected_dice", "unlike_training_images", "engine"):
        assert first[name] == lines[0][name], name
    assert (failed["error"], failed["code"], failed["flagged"]) == (lines[1]["error"], "LEX-DATA-013", None)
    assert first["error"] is None


def test_a_name_that_is_not_utf8_is_escaped_as_in_the_lines(tmp_path: Path) -> None:
    for name in ("good.png", "bad\udcff.png"):
        write_image(tmp_path / "in" / name)
    (tmp_path / "in" / "no\udcfe.png").write_bytes(b"no image")
    predict(tmp_path)
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    images = tmp_path / "in"
    assert [row["image"] for row in rows] == [
        f"{images}/bad\\udcff.png", f"{images}/good.png", f"{images}/no\\udcfe.png",
    ]  # fmt: skip
    assert (rows[0]["name"], rows[0]["mask"]) == ("bad\\udcff", "masks/bad\\udcff.png")
    assert "no\\udcfe.png" in rows[2]["error"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert [f'"{row["image"]}"' in line for row, line in zip(rows, lines, strict=True)] == [True] * 3


def test_a_table_that_cannot_be_written_leaves_a_batch_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "in" / "a.png")

    def full(*_: object, **__: object) -> None:
        raise DiskError("No space.", code="LEX-DISK-000")

    with monkeypatch.context() as patched:
        patched.setattr(parquet.ParquetWriter, "close", full)
        with pytest.raises(DiskError, match="No space"):
            predict(tmp_path)
    assert not (tmp_path / "out" / "predictions.jsonl").exists()
    done: list[str] = []
    predict(tmp_path, on_resumed=done.append)
    assert done == [str(tmp_path / "in" / "a.png")]
    assert (tmp_path / "out" / "predictions.jsonl").is_file()
    assert pq.read_table(tmp_path / "out" / "predictions.parquet").num_rows == 1


def test_all_writers_are_closed_where_one_fails(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a.png")
    closed: list[tuple[str, bool]] = []

    class Own(ImageWriter):
        folder, suffix = "own", ".txt"

        def __init__(self, name: str) -> None:
            self.name = name

        def write(self, image: PredictedImage, batch: Batch) -> None:
            pass

        def close(self, batch: Batch, *, finished: bool) -> None:
            closed.append((self.name, finished))
            if self.name == "second":
                raise ValueError("cannot be closed")

    with pytest.raises(ValueError, match="cannot be closed"):
        predict(tmp_path, formats=(Own("first"), Own("second"), Own("third")))
    assert closed == [("first", True), ("second", True), ("third", False)]


def predict(folder: Path, formats: Sequence[str | Writer] = ("mask", "parquet"), **options: Any) -> None:
    targets = find_images([folder / "in"]).targets
    bright = cast(Predictor, BrightWithoutWords())
    lexiseg.predict_to_files(bright, targets, folder / "out", formats=formats, **options)


class BrightWithoutWords(Thresholds):
    run = SimpleNamespace(**vars(Thresholds.run))


def test_a_table_of_an_earlier_batch_does_not_stay(out: Path) -> None:
    images = find_images([out.parent], out=out).targets
    lexiseg.predict_to_files(lexiseg.load("covid-xray"), images, out)
    assert not (out / "predictions.parquet").exists()
    assert (out / "predictions.jsonl").is_file()


def test_a_foreign_table_is_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.parquet").write_bytes(b"mine")
    images = find_images([out.parent], out=out).targets
    with refuses("LEX-DATA-740", "predictions.parquet"):
        lexiseg.predict_to_files(lexiseg.load("covid-xray"), images, tmp_path, formats=("parquet",))


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("lexiseg.inference.writers.loading.find_spec", lambda name: None)
    with refuses("LEX-USE-943", install_hint("parquet")):
        lexiseg.predict_to_files(lexiseg.load("covid-xray"), (), tmp_path, formats=("parquet",))
