"""The table of a batch holds what its lines hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lexiseg
from lexiseg.extras import install_hint
from lexiseg.inference.targets import find_images
from lexiseg.inference.writers import parquet
from refusals import refuses


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
            predictor, find_images([root]).targets, root / "out", writers=("mask", "parquet")
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


def test_a_table_of_an_earlier_batch_does_not_stay(out: Path) -> None:
    images = find_images([out.parent], out=out).targets
    lexiseg.predict_to_files(lexiseg.load("covid-xray"), images, out)
    assert not (out / "predictions.parquet").exists()
    assert (out / "predictions.jsonl").is_file()


def test_a_foreign_table_is_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.parquet").write_bytes(b"mine")
    images = find_images([out.parent], out=out).targets
    with refuses("LEX-DATA-740", "predictions.parquet"):
        lexiseg.predict_to_files(lexiseg.load("covid-xray"), images, tmp_path, writers=("parquet",))


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("lexiseg.inference.writers.registry.find_spec", lambda name: None)
    with refuses("LEX-USE-943", install_hint("parquet")):
        lexiseg.predict_to_files(lexiseg.load("covid-xray"), (), tmp_path, writers=("parquet",))
