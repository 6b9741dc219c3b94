"""DICOM images of a data set that are stored mirrored or rotated: words and pictures are as displayed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dicom_files import dicom_file
from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.check.inspection import inspect_sample
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_image
from lexiseg.evaluation.comparison.change_figures import ModelMasks, draw_changes
from lexiseg.evaluation.report.case_figures import draw_cases
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.evaluation.suspicions.case_check import check_case
from lexiseg.evaluation.suspicions.page import build_page
from lexiseg.evaluation.suspicions.ranking import rank
from lexiseg.evaluation.suspicions.suspicion_file import Suspicions
from lexiseg.html_template import jpeg_uri
from lexiseg.inference.explanation.overlay import draw_overlay
from lexiseg.studies.undertraining import best_constant_dice
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
CODING = MaskCoding(kind="values")
MIRRORED, ROTATED = ("R", "F"), ("F", "L")


def turned(pixels: np.ndarray, letters: tuple[str, str]) -> np.ndarray:
    """Return stored pixels in the usual display: worked out by hand for the two orientations of the tests."""
    return pixels[:, ::-1] if letters == MIRRORED else pixels.swapaxes(0, 1)


@pytest.fixture(params=[MIRRORED, ROTATED])
def letters(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def lesion(disc: Any) -> np.ndarray:
    """Return a lesion that is lower left in the stored mask: lower right mirrored, upper right rotated."""
    return disc(64, 50, 14, 7)


@pytest.fixture
def sample(letters: tuple[str, str], lesion: np.ndarray, tmp_path: Path) -> Sample:
    """Write a radiograph with its mask; its picture is not symmetric."""
    pixels = np.add.outer(np.arange(64) * 2, np.arange(64)).astype(np.uint16)
    image = dicom_file(tmp_path / "a.dcm", pixels, PatientOrientation=list(letters))
    Image.fromarray(lesion * 255).save(tmp_path / "a_mask.png")
    return Sample(id="a", image=image, mask=tmp_path / "a_mask.png", split="test", report="Right lung.")


@pytest.fixture
def index(sample: Sample, tmp_path: Path) -> DatasetIndex:
    return DatasetIndex(
        root=tmp_path, name="data", layout="folders", samples=(sample,), coding=CODING,
        class_names=("background", "lesion"),
    )  # fmt: skip


@pytest.fixture
def predictor(fake_predictor: Any, fake_run: Any, lesion: np.ndarray) -> Any:
    return fake_predictor(fake_run(), {"a": (lesion, (0, 0, 0, 0))})


@pytest.fixture
def expected_uri(sample: Sample, lesion: np.ndarray, letters: tuple[str, str]) -> Any:
    """Return the picture of the display with its outlines."""
    shown, mask = (turned(part, letters) for part in (read_image(sample.image), lesion))
    return lambda size: jpeg_uri(draw_overlay(shown, mask, mask, longest_side=size))


def test_a_suspicion_measures_the_words_of_the_display(
    sample: Sample, index: DatasetIndex, predictor: Any, lesion: np.ndarray, letters: tuple[str, str]
) -> None:
    ((_, prediction),) = predictor.predict_paths([sample.image])
    references = References(kind="reports", vocabulary=CHEST, side="image", data_side="image")
    found = check_case(dataclasses.replace(sample, report=None), prediction, index, references)
    assert found.measured == measure_indices(turned(lesion, letters), CHEST, side="image")
    assert found.measured != measure_indices(lesion, CHEST, side="image")
    place = "lower right lung" if letters == MIRRORED else "upper right lung"
    assert place in [
        factor.phrases[i] for factor, i in zip(CHEST.factors, found.measured or (), strict=True)
    ]  # fmt: skip


def test_pages_show_the_display(
    sample: Sample, index: DatasetIndex, predictor: Any, expected_uri: Any
) -> None:
    ((_, prediction),) = predictor.predict_paths([sample.image])
    cases = rank([check_case(sample, prediction, index, None)], index)
    page = build_page(
        Suspicions(
            data="data", runs=("run",), side=None, checked=1, left_out=0, nothing_to_check=0, notes=(),
            cases=cases, failed=(),
        ),
        {"a": (sample, prediction)}, index,
    )  # fmt: skip
    assert expected_uri(320) in page
    model = ModelMasks(title="model", predictor=predictor, dice={"a": 1.0})
    (change,) = draw_changes({"a": 0.0}, [model, model], index, "test")
    assert change.masks[0].picture.uri == expected_uri(320)
    case: Any = SimpleNamespace(sample=sample, predicted_px=1, truth_px=1, scores=SimpleNamespace(dice=1.0))
    ((figure,),) = draw_cases({"Best": [case]}, predictor, index=index, references=None).values()
    assert figure.uri == expected_uri(448)


def test_a_mask_of_another_size_is_measured_as_displayed(
    sample: Sample, letters: tuple[str, str], disc: Any
) -> None:
    large = disc(80, 60, 20, 9)
    Image.fromarray(large * 255).save(sample.mask)

    def measure(labels: np.ndarray, image: np.ndarray | None) -> tuple[int, ...]:
        assert image is None
        return tuple(np.argwhere(labels).mean(axis=0).round().astype(int).tolist())

    found = inspect_sample(sample, CODING, measure)
    assert found.measured == ((60, 59) if letters == MIRRORED else (20, 60))


def test_the_best_constant_mask_is_that_of_the_display(
    sample: Sample, lesion: np.ndarray, letters: tuple[str, str], tmp_path: Path
) -> None:
    # A second image with the same display, stored as displayed: one constant mask fits both.
    pixels = np.zeros((64, 64), np.uint16)
    pixels[0, 0] = 9
    image = dicom_file(tmp_path / "b.dcm", pixels, PatientOrientation=["L", "F"])
    Image.fromarray(np.ascontiguousarray(turned(lesion, letters)) * 255).save(tmp_path / "b_mask.png")
    plain = Sample(id="b", image=image, mask=tmp_path / "b_mask.png", split="test")
    both = DatasetIndex(
        root=tmp_path, name="data", layout="folders", samples=(sample, plain), coding=CODING,
        class_names=("background", "lesion"),
    )  # fmt: skip
    assert best_constant_dice(both, "test") == 1.0
