"""The `repr` of a result is one line that says what one wants to know first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import lexiseg
from lexiseg.inference.batches.batch import BatchSummary
from lexiseg.inference.predictor import Predictor
from lexiseg.printable import brief
from lexiseg.runs.run import Run
from lexiseg.words.vocabulary import load_vocabulary
from random_runs import images, made, make_run

__all__ = ["images", "made", "make_run"]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return lexiseg.load("covid-xray", engine="onnx")


def fits_a_line(value: object) -> str:
    text = repr(value)
    assert len(text) <= 100
    assert text.isprintable()
    assert text.startswith(f"{type(value).__name__}(")
    return text


def test_predictor_run_and_vocabulary(predictor: Predictor) -> None:
    assert fits_a_line(predictor).startswith("Predictor(covid-xray, onnx 1.")
    assert fits_a_line(predictor.run) == "Run(covid-xray, stpnet compact, lesion, 224 px, text reports)"
    vocabulary = fits_a_line(load_vocabulary("chest"))
    assert vocabulary == "Vocabulary(chest, 4 factors, 20 phrases, left and right of the image)"
    assert fits_a_line(predictor.calibration).startswith("Calibration(temperature 1.559, 1,429 validation")


def test_prediction_and_refinement(predictor: Predictor) -> None:
    image = np.zeros((30, 40), np.uint8)
    found = predictor.predict(image)
    assert fits_a_line(found) == f"Prediction(30 x 40, lesion {found.area_px['lesion']} px, 4 words, flagged)"
    calm = dataclasses.replace(found, flagged=False, expected_dice=0.816, area_px={"lesion": 12})
    assert repr(calm) == "Prediction(30 x 40, lesion 12 px, 4 words, not flagged, expected Dice 0.82)"
    word = found.words[0]
    assert fits_a_line(word) == f"RetrievedWord(laterality: '{word.phrase}' {word.confidence:.2f})"
    fits_a_line(found.measured)
    refined = lexiseg.refine(predictor, image, say="lower left only")
    assert fits_a_line(refined).startswith("Refinement(30 x 40, lesion ")
    assert "with the mask of the model" in repr(refined)


def test_explanation(made: tuple[Run, nn.Module], images: list[Path]) -> None:
    found = lexiseg.explain(Predictor(made[0]), images[0])
    assert fits_a_line(found).startswith("Explanation(64 x 64, 4 words, heat by ")
    for word in found.words:
        assert fits_a_line(word).startswith(f"ExplainedWord({word.factor}, heat, ")
        for other in word.what_if:
            fits_a_line(other)


def test_summary_of_a_batch() -> None:
    summary = BatchSummary(
        done=98, flagged=3, failed=((Path("a.png"), "damaged"),) * 2, results=Path("out/predictions.jsonl")
    )
    assert fits_a_line(summary) == "BatchSummary(98 images, 3 flagged, 2 failed, out/predictions.jsonl)"


def test_data_set_and_its_check(tmp_path: Path) -> None:
    lexiseg.write_phantom(tmp_path / "ph", num_train=2, num_val=1, num_test=1, size=64)
    index = lexiseg.open_dataset(tmp_path / "ph")
    assert fits_a_line(index) == "DatasetIndex(phantom (seed 0), published, 4 images, opacity)"
    report = lexiseg.check_dataset(tmp_path / "ph")
    assert (
        fits_a_line(report) == "CheckReport(phantom (seed 0), published, 2 train, 1 val, 1 test, 1 finding)"
    )


def test_long_and_hostile_texts_stay_on_the_line() -> None:
    text = brief(Path("x"), "first", None, "evil\n\x1b[2J" + "a" * 300)
    assert len(text) == 100
    assert text.startswith(f"{type(Path('x')).__name__}(first, evil\\n\\x1b[2Jaaa")
    assert text.endswith("...)")
