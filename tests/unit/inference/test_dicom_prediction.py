"""Prediction of DICOM files: the network sees the usual display, and the mask lies on the stored grid."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from torch import nn

from dicom_files import dicom_file
from lexiseg.clinic.view import View, Window
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.explanation.explain import explain
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from refusals import refuses

WINDOW = {"WindowCenter": "128", "WindowWidth": "256"}


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    coarse = np.random.default_rng(3).integers(0, 256, (6, 5), dtype=np.uint8)
    return np.kron(coarse, np.ones((10, 12), np.uint8))


@pytest.fixture(scope="module")
def predictor(made: tuple[Run, nn.Module]) -> Predictor:
    return Predictor(made[0])


def test_turned_images_give_the_same_words_and_turned_masks(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor
) -> None:
    usual = predictor.predict(dicom_file(tmp_path / "usual.dcm", pixels, **WINDOW))
    assert usual.mask.any()
    assert not usual.mask.all()
    stored = {
        ("R", "F"): pixels[:, ::-1],
        ("L", "H"): pixels[::-1],
        ("F", "L"): pixels.T,
        ("H", "R"): pixels[::-1, ::-1].T,
        # Quarter turns, whose inverse is another turn.
        ("H", "L"): pixels[::-1].T,
        ("F", "R"): pixels[:, ::-1].T,
    }
    back = {
        ("R", "F"): lambda mask: mask[:, ::-1],
        ("L", "H"): lambda mask: mask[::-1],
        ("F", "L"): lambda mask: mask.T,
        ("H", "R"): lambda mask: mask.T[::-1, ::-1],
        ("H", "L"): lambda mask: mask.T[::-1],
        ("F", "R"): lambda mask: mask.T[:, ::-1],
    }
    for letters, turned in stored.items():
        path = dicom_file(
            tmp_path / f"{''.join(letters)}.dcm",
            np.ascontiguousarray(turned),
            PatientOrientation=list(letters),
            **WINDOW,
        )
        found = predictor.predict(path)
        assert found.mask.shape == turned.shape
        assert found.words == usual.words
        assert found.measured == usual.measured
        assert np.array_equal(back[letters](found.mask), usual.mask)
        assert np.array_equal(back[letters](found.probability[0]), usual.probability[0])


def test_areas_need_a_spacing_of_the_body(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor
) -> None:
    section = predictor.predict(
        dicom_file(tmp_path / "a.dcm", pixels, modality="CT", PixelSpacing=[0.5, 0.2], **WINDOW)
    )
    assert section.area_mm2 == {"lesion": pytest.approx(section.area_px["lesion"] * 0.1)}
    radiograph = dicom_file(tmp_path / "b.dcm", pixels, ImagerPixelSpacing=[0.1, 0.1], **WINDOW)
    assert predictor.predict(radiograph).area_mm2 is None
    stated = predictor.predict(radiograph, spacing_mm=(2, 3))
    assert stated.area_mm2 == {"lesion": stated.area_px["lesion"] * 6}
    assert stated.facts is not None
    assert "No areas in mm2" not in " ".join(stated.facts.assumptions)


def test_the_view_reaches_the_network_and_the_overlay(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], made: tuple[Run, nn.Module]
) -> None:
    path = dicom_file(tmp_path / "a.dcm", pixels, **WINDOW)
    view = View(window=Window(center=60, width=40))
    chosen = Predictor(made[0], PredictionOptions(view=view))
    plain = Predictor(made[0]).predict(path)
    assert not np.array_equal(chosen.predict(path).probability, plain.probability)
    facts = chosen.predict(path).facts
    assert facts is not None
    assert facts.shown == "window 60, 40, chosen"


def test_a_batch_names_what_was_assumed_once_per_kind(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    dicom_file(folder / "a.dcm", pixels, number=1, PatientOrientation=None)
    dicom_file(folder / "b", np.ascontiguousarray(pixels[:, ::-1]), number=2, PatientOrientation=["R", "F"])
    (folder / "c.dcm").write_bytes(b"\0" * 128 + b"DICM")
    out = tmp_path / "out"
    targets = find_targets([folder], out=out)
    summary = predict_to_files(predictor, targets, out, formats=("mask", "overlay", "card"))
    assert (summary.done, len(summary.failed), summary.dicom, summary.sides_unknown) == (2, 1, 2, 1)
    counts = dict(summary.assumptions)
    assert counts[next(said for said in counts if "states no window" in said)] == 2
    assert counts[next(said for said in counts if "side of its words" in said)] == 1
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    by_name = {Path(line["image"]).name: line for line in lines}
    assert by_name["a.dcm"]["side"] == "unknown"
    assert by_name["a.dcm"]["dicom"]["patient_orientation"] is None
    assert by_name["b"]["side"] == "image"
    assert by_name["b"]["dicom"]["turned"] == "mirrored"
    assert by_name["b"]["dicom"]["spacing_origin"] == "none"
    assert by_name["c.dcm"]["code"] == "LEX-DATA-946"
    assert (out / "cards" / "b.html").is_file()


def test_explanations_are_of_the_usual_display(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor
) -> None:
    usual = explain(predictor, dicom_file(tmp_path / "a.dcm", pixels, **WINDOW))
    mirrored = explain(
        predictor,
        dicom_file(
            tmp_path / "b.dcm",
            np.ascontiguousarray(pixels[:, ::-1]),
            PatientOrientation=["R", "F"],
            **WINDOW,
        ),
    )
    assert np.array_equal(usual.plain, mirrored.plain)
    assert np.array_equal(usual.prediction.mask, mirrored.prediction.mask)


@pytest.mark.parametrize("letters", [["R", "F"], ["F", "L"]])
def test_a_prediction_that_was_made_already_is_explained_in_the_usual_display(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor, letters: list[str]
) -> None:
    stored = np.ascontiguousarray(pixels[:, ::-1] if letters == ["R", "F"] else pixels.T)
    path = dicom_file(tmp_path / "a.dcm", stored, PatientOrientation=letters, **WINDOW)
    prediction = predictor.predict(path)
    with_it, without = explain(predictor, path, prediction=prediction), explain(predictor, path)
    usual = explain(predictor, dicom_file(tmp_path / "b.dcm", pixels, **WINDOW))
    assert np.array_equal(with_it.prediction.mask, usual.prediction.mask)
    assert np.array_equal(with_it.prediction.probability, without.prediction.probability)
    assert [[found.overlap for found in word.what_if] for word in with_it.words] == [
        [found.overlap for found in word.what_if] for word in usual.words
    ]
    facts, of_usual = with_it.prediction.facts, usual.prediction.facts
    assert facts is not None
    assert of_usual is not None
    assert facts == without.prediction.facts
    assert (facts.turn, facts.directions) == (of_usual.turn, of_usual.directions)
    # It lies as it is displayed, so it is no prediction of the stored image any more.
    with refuses("LEX-USE-1806", "not turned"):
        explain(predictor, path, prediction=with_it.prediction)


def test_a_prediction_of_pixels_that_are_displayed_otherwise_is_refused(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], predictor: Predictor
) -> None:
    path = dicom_file(tmp_path / "a.dcm", pixels, PatientOrientation=["R", "F"], **WINDOW)
    with refuses("LEX-USE-1806", "not turned", "mirrored", "DICOM file"):
        explain(predictor, path, prediction=predictor.predict(pixels))
    with refuses("LEX-USE-1806", "mirrored", "not turned"):
        explain(predictor, pixels, prediction=predictor.predict(path))
