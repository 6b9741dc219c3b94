"""Whose left sentences of a sheet mean, in all outputs: known only where the data set states it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicom_files import dicom_file
from lexiseg.clinic.image import image_of
from lexiseg.clinic.report_items import summary_items
from lexiseg.clinic.view import View
from lexiseg.describing.vocabulary_choice import find_vocabulary
from lexiseg.inference.batches.batch_summary import BatchCounts
from lexiseg.inference.explanation.card import build_card
from lexiseg.inference.explanation.explain import explain
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.writers.base import PredictedImage
from lexiseg.inference.writers.dicom_content import result_content
from lexiseg.runs.run import Run
from lexiseg.words.description import Side
from lexiseg.words.reading.sentence_groups import group_sentences
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

SENTENCES = ["dense left", "dense right"]


def of_sheet(side: Side = "image") -> Vocabulary:
    return group_sentences(SENTENCES, lambda texts: pytest.fail("no embedding is needed"), side=side)


def test_the_side_of_sentences_is_known_only_where_it_is_stated() -> None:
    sheet = of_sheet()
    assert sheet.shown_side("image") == "unknown"
    assert sheet.shown_side("patient") == "patient"
    assert load_vocabulary("chest").shown_side("image") == "image"
    stated = sheet.with_stated_side()
    assert stated.shown_side("image") == "image"
    assert Vocabulary.from_dict(stated.to_dict()) == stated
    assert "side_stated" not in sheet.to_dict()  # older versions read such runs
    assert stated.only(["sentence"]).shown_side("image") == "image"


@pytest.mark.parametrize(("side", "shown"), [(None, "unknown"), ("image", "image"), ("patient", "patient")])
def test_the_run_keeps_what_the_data_set_states(
    side: Side | None, shown: str, make_run: Any, tmp_path: Path
) -> None:
    samples = [SimpleNamespace(report=sentence) for sentence in SENTENCES]
    index: Any = SimpleNamespace(
        vocabulary=None, side=side, keyword=None, num_classes=2, split=lambda name: samples
    )
    vocabulary, _ = find_vocabulary(index, text="reports", wanted=None, encoder=SimpleNamespace())  # type: ignore[arg-type]
    made, _ = make_run(tmp_path / "run", vocabulary=vocabulary, side=side or "image")
    assert Run.open(made.path).shown_side == shown


@pytest.mark.parametrize("known", [True, False])
def test_cards_and_records_agree(known: bool, made: tuple[Run, Any], images: list[Path]) -> None:
    predictor = Predictor(made[0])
    explained = explain(predictor, images[0])
    found = dataclasses.replace(explained.prediction, side_known=known)
    assert found.shown_side == ("image" if known else "unknown")
    pixels = np.asarray(Image.open(images[0]).convert("RGB"))
    card = build_card(pixels, dataclasses.replace(explained, prediction=found), name="a", run="r")
    assert ("left of the image, not of the patient" in card) == known
    assert ("whose left and right the words mean is not known" in card) != known


@pytest.mark.parametrize("stated", [True, False])
def test_structured_reports_give_sentences_of_unknown_side_as_they_are(
    stated: bool, make_run: Any, made: tuple[Run, Any], tmp_path: Path
) -> None:
    path = dicom_file(tmp_path / "a.dcm", np.zeros((64, 64), np.uint8), PatientOrientation=["L", "F"])
    facts = image_of(pydicom.dcmread(path), path, 0, View()).facts
    sheet = of_sheet().with_stated_side() if stated else of_sheet()
    run, _ = make_run(tmp_path / "run", vocabulary=sheet)
    predictor = Predictor(made[0])
    predictor.run = run  # only its words matter
    index = sheet.factors[0].phrases.index("dense left")
    word = RetrievedWord(
        factor="sentence", title="Report sentence", index=index, phrase="dense left", confidence=0.9,
        runners_up=(), probabilities=(),
    )  # fmt: skip
    found = Prediction(
        mask=np.zeros((64, 64), np.uint8), probability=np.zeros((1, 64, 64), np.float32), words=(word,),
        measured=None, side="image", agreement=None, flagged=False, area_px={"lesion": 0}, area_mm2=None,
        facts=facts, side_known=stated,
    )  # fmt: skip
    content = result_content(found, facts, predictor)
    said = [item.TextValue for item in summary_items(content) if item.ValueType == "TEXT"]
    if stated:
        assert [item.phrase for item in content.words] == ["dense right"]
        assert "Left and right in all words are the patient's." in said
    else:
        assert [item.phrase for item in content.words] == ["dense left"]
        assert any(text.endswith("whose left and right they mean is not known.") for text in said)


@pytest.mark.parametrize(
    ("is_dicom", "known", "count"), [(False, False, 0), (True, False, 1), (True, True, 0)]
)
def test_dicom_images_of_unknown_sides_are_counted(
    is_dicom: bool, known: bool, count: int, made: tuple[Run, Any], images: list[Path], tmp_path: Path
) -> None:
    path = images[0]
    if is_dicom:
        path = dicom_file(tmp_path / "a.dcm", np.zeros((64, 64), np.uint8), PatientOrientation=["L", "F"])
    found = dataclasses.replace(Predictor(made[0]).predict(path), side_known=known)
    image = PredictedImage(target=Target(image=path, name=Path("a")), prediction=found)
    counts = BatchCounts()
    counts.add(image.record(None))
    assert (counts.done, counts.dicom, counts.sides_unknown) == (1, int(is_dicom), count)
