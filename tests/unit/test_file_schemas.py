"""The schemas of run folders and predictions are true of real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.json_records import Record, write_record
from lexiseg.runs.image_hashes import ImageHashesRecord
from lexiseg.runs.manifest import DataRecord, MasksRecord, TrainingRecord
from lexiseg.runs.splits import SplitsRecord, WithMaskRecord, write_splits_record, write_with_mask
from lexiseg.schemas import schema


def validate(value: Any, name: str) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(value)


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "file"),
    [("manifest", "run.json"), ("run-splits", "splits.json"), ("calibration", "calibration.json")],
)
def test_the_files_of_the_shipped_run(name: str, file: str) -> None:
    content = read(lexiseg.Run.open("covid-xray").path / file)
    validate(content, name)
    with pytest.raises(jsonschema.ValidationError):
        validate({**content, "colour": "red"}, name)


def test_the_files_of_a_run_in_training(tmp_path: Path) -> None:
    masks = MasksRecord(share=0.5, with_mask=1, without_mask=0, left_out=1, unmasked="leave_out")
    manifest = lexiseg.Run.open("covid-xray").manifest.model_copy(
        update={
            "vocabulary": None,
            "data": DataRecord(name="d", masks=masks, shuffled_words=True),
            "training": TrainingRecord(seed=0),
        }
    )
    lexiseg.Run.create(tmp_path, manifest)
    write_splits_record(tmp_path, SplitsRecord(train=("a", "b"), val=("c",), left_out=("b",)))
    write_with_mask(tmp_path, WithMaskRecord(with_mask=("a",)))
    validate(read(tmp_path / "run.json"), "manifest")
    validate(read(tmp_path / "splits.json"), "run-splits")
    validate(read(tmp_path / "masks.json"), "run-masks")
    write_record(tmp_path / "image_hashes.json", ImageHashesRecord(train=("a" * 64,)))
    validate(read(tmp_path / "image_hashes.json"), "run-image-hashes")


def test_the_lines_of_a_batch(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    predictor = lexiseg.load("covid-xray", spacing_mm=(0.5, 0.5))
    batch = lexiseg.predict_to_files(predictor, lexiseg.find_targets([tmp_path]), tmp_path / "out")
    good, bad = (json.loads(line) for line in batch.results.read_text(encoding="utf-8").splitlines())
    validate(good, "prediction")
    validate(bad, "prediction-failure")
    for line, other in ((good, "prediction-failure"), (bad, "prediction")):
        with pytest.raises(jsonschema.ValidationError):
            validate(line, other)


def test_names_of_fields_may_begin_like_methods_of_pydantic() -> None:
    """pydantic 2.9 warns of each such field otherwise, whenever its module is loaded."""
    assert Record.model_config.get("protected_namespaces") == ()
