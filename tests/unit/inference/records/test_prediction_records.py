"""The lines of predictions.jsonl."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lexiseg.inference.records.predictions_file import FailureRecord, PredictionRecord
from lexiseg.inference.result import Findings, Prediction, RetrievedWord
from lexiseg.inference.volumes.volumes_file import SliceRecord
from lexiseg.json_records import Record
from lexiseg.refinement.refinement_file import RefinementRecord
from lexiseg.serving.records.predictions import PredictionAnswer
from lexiseg.serving.records.refinements import RefinedAnswer
from lexiseg.words.vocabulary import load_vocabulary


@pytest.mark.parametrize(
    "record", [PredictionRecord, SliceRecord, RefinementRecord, PredictionAnswer, RefinedAnswer]
)
def test_every_record_of_a_mask_holds_its_findings(record: type[Record]) -> None:
    names = {field.name for field in dataclasses.fields(Findings)}
    assert names <= record.model_fields.keys()
    assert {"agreement", "flagged", "reasons", "expected_dice", "area_px", "area_mm2"} == names


def test_a_record_by_hand() -> None:
    measured = load_vocabulary("chest").describe((1, 0, 7, -1), source="concepts")
    word = RetrievedWord(
        factor="count", title="Infected areas", index=0, phrase="one infected area", confidence=0.123456,
        runners_up=(("multiple infected areas", 0.876544),), probabilities=(0.123456, 0.876544),
    )  # fmt: skip
    prediction = Prediction(
        mask=np.ones((2, 3), np.uint8), probability=np.ones((1, 2, 3), np.float32), words=(word,),
        measured=measured, side="patient", agreement=1 / 3, flagged=True, area_px={"lesion": 6},
        area_mm2={"lesion": 1.5}, reasons=("why",), expected_dice=0.123456,
        engine="onnx 1.32.0, fp32 on cpu",
        unlike_training_images=("content",),
    )  # fmt: skip
    record = PredictionRecord.of(prediction, image=Path("in/a.png"), name="a", mask="masks/a.png")
    line = {
        "schema_version": 1,
        "image": "in/a.png",
        "name": "a",
        "mask": "masks/a.png",
        "size": [2, 3],
        "exif_orientation": 1,
        "area_px": {"lesion": 6},
        "area_mm2": {"lesion": 1.5},
        "side": "patient",
        "words": [
            {
                "factor": "count",
                "phrase": "one infected area",
                "confidence": 0.1235,
                "runners_up": [["multiple infected areas", 0.8765]],
            }
        ],
        "measured": {
            "laterality": "unilateral pulmonary infection",
            "count": "one infected area",
            "left": "no lesion in left lung",
            "right": None,
        },
        "agreement": 1 / 3,
        "flagged": True,
        "reasons": ["why"],
        "expected_dice": 0.1235,
        "dicom": None,
        "not_written": {},
        "engine": "onnx 1.32.0, fp32 on cpu",
        "unlike_training_images": ["content"],
        "archive": None,
    }
    assert record.model_dump(mode="json") == line
    assert list(record.model_dump()) == list(line)
    assert PredictionRecord.model_validate(line) == record


def test_a_failure_by_hand() -> None:
    record = FailureRecord(image="a.png", error="a.png does not exist.", code="LEX-DATA-009")
    assert record.model_dump() == {
        "schema_version": 1, "image": "a.png", "error": "a.png does not exist.", "code": "LEX-DATA-009",
    }  # fmt: skip
