"""Answers of a server give the client the prediction of the server, field by field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from lexiseg.clinic.facts import ImageFacts, PixelSpacing
from lexiseg.clinic.orientation import Directions, Turn
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.inference.result import Prediction
from lexiseg.serving.answers import prediction_answer
from lexiseg.serving.client_results import prediction_of
from lexiseg.serving.records.predictions import PredictionAnswer
from lexiseg.words.description import Description, Reading
from long_decimals import WORD

FACTS = ImageFacts(
    modality="CR",
    frame=2,
    directions=Directions(row="L", column="F"),
    turn=Turn(flip_rows=True),
    spacing=PixelSpacing(mm=(0.1, 0.2), origin="body"),
    shown="window 40, 400 of the file",
    assumptions=("one", "two"),
)
VALUES: dict[str, Any] = {
    "mask": np.array([[0, 1, 2], [0, 0, 1]], dtype=np.uint8),
    "probability": np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3),
    "words": (WORD,),
    "measured": Description(
        source="concepts",
        side="patient",
        readings=(Reading(factor="number", index=0, phrase="one"),),
        sentence="One lesion.",
        problems=("x",),
    ),
    "side": "patient",
    "agreement": 2 / 3,
    "flagged": True,
    "area_px": {"lesion": 2, "nodule": 1},
    "area_mm2": {"lesion": 2 * 0.1 * 0.2, "nodule": 0.1 * 0.2},
    "reasons": ("a", "b"),
    "expected_dice": 0.1 + 0.2,
    "unlike_training_images": ("content",),
    "signals": {"overlap": 1e-17, "size": 3.0},
    "engine": "onnx 1.32.0, fp32 on cpu",
    "pixel_mm2": 0.02,
}
SENT = {
    "a DICOM file": Prediction(**VALUES, facts=FACTS),
    "a photograph": Prediction(**VALUES, exif_orientation=6),
    "sentences whose side nothing states": Prediction(**VALUES, side_known=False),
    "a model without words": Prediction(
        **(VALUES | {"words": (), "measured": None, "agreement": None, "expected_dice": None})
    ),
}


@pytest.mark.parametrize("kind", SENT)
def test_a_prediction_comes_back_from_a_server(kind: str) -> None:
    sent = SENT[kind]
    image = DecodedImage(
        pixels=np.zeros((2, 3, 3), dtype=np.uint8), facts=sent.facts, orientation=sent.exif_orientation
    )
    answer = prediction_answer(
        sent, image, name="a", classes=("background", "lesion", "nodule"), preview="never", exact=True
    )
    back = prediction_of(PredictionAnswer.model_validate_json(answer.model_dump_json()))
    for field in fields(Prediction):
        before, after = getattr(sent, field.name), getattr(back, field.name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype, field.name
            assert np.array_equal(after, before), field.name
        else:
            assert after == before, field.name


def test_the_predictions_have_a_value_of_their_own_in_every_field() -> None:
    """A field that nothing changes here could be lost on the way without a failure above."""
    default = Prediction(
        mask=np.zeros((1, 1), dtype=np.uint8), probability=np.zeros((1, 1, 1), dtype=np.float32), words=(),
        measured=None, side="image", agreement=None, flagged=False, area_px={}, area_mm2=None,
    )  # fmt: skip
    for field in fields(Prediction):
        if not isinstance(getattr(default, field.name), np.ndarray):
            values = [getattr(sent, field.name) for sent in SENT.values()]
            assert any(value != getattr(default, field.name) for value in values), field.name
