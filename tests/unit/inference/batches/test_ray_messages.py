"""What the processes of a cluster send each other: texts and bytes that give the same objects back."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexiseg.clinic.facts import ImageFacts, PixelSpacing
from lexiseg.clinic.orientation import Directions, Turn
from lexiseg.clinic.view import parse_view
from lexiseg.errors import DataError, DiskError, LexisegError
from lexiseg.inference.batches import ray_messages
from lexiseg.inference.batches.ray_messages import (
    OptionsMessage,
    PredictionMessage,
    decode_options,
    decode_result,
    encode_options,
    encode_result,
)
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.result import Prediction
from lexiseg.words.description import Description, Reading, Repair
from long_decimals import WORD
from refusals import refuses

MEASURED = Description(
    source="concepts",
    side="patient",
    readings=(Reading(factor="number", index=-1, phrase=None, repairs=(Repair(found="tow", meant="two"),)),),
    sentence="Two lesions.",
    problems=("x",),
)
FACTS = ImageFacts(
    modality="CR",
    frame=1,
    directions=Directions(row="L", column="F"),
    turn=Turn(flip_rows=True),
    spacing=PixelSpacing(mm=(0.1, 0.2), origin="body"),
    shown="window 40, 400 of the file",
    assumptions=("one", "two"),
)


def prediction(**changed: Any) -> Prediction:
    values: dict[str, Any] = {
        "mask": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "probability": np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3)[:, ::-1],
        "words": (WORD,),
        "measured": MEASURED,
        "side": "patient",
        "agreement": 2 / 3,
        "flagged": True,
        "area_px": {"lesion": 5},
        "area_mm2": {"lesion": 5 * 0.1 * 0.2},
        "reasons": ("a", "b"),
        "expected_dice": 0.7,
        "unlike_training_images": ("content",),
        "signals": {"overlap": 1e-17, "size": 3.0},
        "facts": FACTS,
        "engine": "onnx 1.32.0, fp32 on cpu",
        "pixel_mm2": 0.02,
        "exif_orientation": 6,
    }
    return Prediction(**(values | changed))


def test_a_prediction_comes_back() -> None:
    sent = prediction()
    message, arrays = encode_result(sent)
    back = decode_result(message, arrays)
    assert isinstance(back, Prediction)
    for field in fields(Prediction):
        before, after = getattr(sent, field.name), getattr(back, field.name)
        if isinstance(before, np.ndarray):
            assert (after.dtype, after.shape) == (before.dtype, before.shape)
            assert np.array_equal(after, before)
            assert after.flags.writeable
        else:
            assert after == before
            assert type(after) is type(before)
    assert json.loads(message)["result"]["words"][0]["phrase"] == "two"


def test_a_prediction_without_words_facts_and_numbers_comes_back() -> None:
    sent = prediction(
        words=(), measured=None, agreement=None, area_mm2=None, expected_dice=None, facts=None, engine=None,
        unlike_training_images=None, pixel_mm2=None, reasons=(), signals={"overlap": math.nan},
    )  # fmt: skip
    back = decode_result(*encode_result(sent))
    assert isinstance(back, Prediction)
    assert math.isnan(back.signals["overlap"])
    assert (back.words, back.measured, back.facts, back.unlike_training_images) == ((), None, None, None)


def test_every_field_is_sent() -> None:
    """A new field of a prediction or of the options must not be lost on the way."""
    assert {field.name for field in fields(Prediction)} == {
        "mask", "probability", *PredictionMessage.model_fields,
    }  # fmt: skip
    assert {field.name for field in fields(PredictionOptions)} == set(OptionsMessage.model_fields)


@pytest.mark.parametrize(
    "error", [DataError("\udcff \u00e9\\n.png is damaged", code="LEX-DATA-019"), DiskError("full")]
)
def test_an_error_comes_back(error: LexisegError) -> None:
    back = decode_result(*encode_result(error))
    assert type(back) is type(error)
    assert (str(back), back.code) == (str(error), error.code)  # type: ignore[union-attr]


def test_an_error_of_an_unknown_class_is_an_error() -> None:
    message = json.dumps({"result": {"kind": "os.system", "message": "x", "code": "LEX-1"}})
    assert type(decode_result(message, b"")) is LexisegError


def test_options_come_back() -> None:
    options = PredictionOptions(
        device="cuda:1", precision="auto", flip_average=True, batch_size=3, view=parse_view("40,400", 2)
    )
    sent = encode_options(options, engine="torch", average_with="other", spacing_mm=(0.1, 0.2))
    assert decode_options(sent) == PredictionOptions(
        device="cuda:1", precision="auto", flip_average=True, batch_size=3, view=parse_view("40,400", 2),
        engine="torch", average_with="other", spacing_mm=(0.1, 0.2),
    )  # fmt: skip


def test_what_is_no_message_is_refused() -> None:
    message, arrays = encode_result(prediction(reasons=()))
    for wrong, content in (
        ("no JSON", arrays),
        ("{}", arrays),
        (json.dumps({"result": {"kind": "DataError"}}), arrays),
        (message, b"no arrays"),
        (message, ray_messages.save({"mask": np.zeros((1, 1), np.uint8)})),
        (message.replace('"side"', '"new field":1,"side"'), arrays),
    ):
        with refuses("LEX-RES-1480", "same version", "Ray"):
            decode_result(wrong, content)
    with refuses("LEX-RES-1480", "same version"):
        decode_options("{}")


def test_nothing_is_unpickled() -> None:
    """Neither module of the cluster reads Python objects from outside."""
    for name in ("ray_messages", "ray_predictor"):
        text = Path(ray_messages.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        assert "pickle" not in text
