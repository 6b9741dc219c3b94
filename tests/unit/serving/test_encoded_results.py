"""Results as texts of JSON, put together to an answer."""

from __future__ import annotations

import numpy as np

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import DataError
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.serving.answers import failed_image, prediction_answer
from lexiseg.serving.encoded_results import EncodedResult, response_text
from lexiseg.serving.records.common import ModelVersion
from lexiseg.serving.records.predictions import PredictResponse

_MODEL = ModelVersion(name="chest", version="0" * 64, lexiseg_version="1.0")


def test_an_answer_is_the_record_of_its_results() -> None:
    word = RetrievedWord(
        factor="side",
        title="Side",
        index=0,
        phrase='left "\u8089"',
        confidence=1 / 3,
        runners_up=(),
        probabilities=(),
    )
    prediction = Prediction(
        mask=np.eye(5, dtype=np.uint8), probability=np.zeros((1, 5, 5), np.float32), words=(word,),
        measured=None, side="image", agreement=0.1 + 0.2, flagged=True, area_px={"lesion": 5}, area_mm2=None,
    )  # fmt: skip
    image = DecodedImage(pixels=np.zeros((5, 5, 3), np.uint8), facts=None)
    done = prediction_answer(
        prediction,
        image,
        name="a].png",
        classes=("background", "lesion"),
        preview="never",
        exact=True,
    )
    failed = failed_image("b.png", DataError("It is damaged.", code="LEX-DATA-013"))
    encoded = [EncodedResult.of(done), EncodedResult.of(failed)]
    record = PredictResponse(request_id="r", model=_MODEL, results=(done, failed))
    assert response_text("r", _MODEL, encoded) == record.model_dump_json()
    assert [(one.failed, one.flagged) for one in encoded] == [(False, True), (True, False)]
    assert (
        response_text("r", _MODEL, [])
        == PredictResponse(request_id="r", model=_MODEL, results=()).model_dump_json()
    )
