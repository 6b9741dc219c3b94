"""What a batch says of turned images, and of the files in its folders that are not read."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image
from test_batch import Thresholds

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_images, find_targets


def test_turned_images_are_counted_and_recorded(tmp_path: Path) -> None:
    for orientation in (1, 2, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = np.full((8, 12), 200, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"e{orientation}.jpg", exif=exif)
    summary = predict_to_files(cast(Any, Thresholds()), find_targets([tmp_path]), tmp_path / "out")
    assert summary.turned == 2
    lines = [json.loads(line) for line in summary.results.read_text().splitlines()]
    assert [line["exif_orientation"] for line in lines] == [1, 2, 6]
    assert {tuple(line["size"]) for line in lines} == {(8, 12)}


def test_files_of_other_endings_are_found(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("a.png", "b.HEIC", "sub/c.heic", "d.gif", ".hidden", "out/predictions.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    skipped = find_images([tmp_path], out=out).unread.skipped
    assert {ending: (files.count, files.example.name) for ending, files in skipped.items()} == {
        ".heic": (2, "b.HEIC"),
        ".gif": (1, "d.gif"),
    }
