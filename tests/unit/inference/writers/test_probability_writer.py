"""Probability maps on disk."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lexiseg.inference.inputs.target import Target
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.probability import ProbabilityWriter
from lexiseg.outputs.output_folder import owned_folder


def write(out: Path, probability: np.ndarray, class_names: tuple[str, ...]) -> Path:
    predictor: Any = SimpleNamespace(run=SimpleNamespace(class_names=class_names))
    target = Target(image=out / "a.png", name=Path("exam/a"))
    prediction = Prediction(
        mask=np.zeros(probability.shape[1:], np.uint8), probability=probability, words=(), measured=None,
        side="image", agreement=None, flagged=False, area_px={}, area_mm2=None,
    )  # fmt: skip
    with owned_folder(out) as folder:
        batch = Batch(folder=folder, predictor=predictor, formats=("probability",))
        ProbabilityWriter().write(PredictedImage(target=target, prediction=prediction), batch)
    return out / "probabilities" / "exam" / "a.tif"


@pytest.mark.parametrize("shape", [(1, 3, 5), (3, 20, 7), (2, 300, 2000)])
def test_a_page_per_class_holds_the_probabilities_themselves(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    probability = np.random.default_rng(0).random(shape, dtype=np.float32)
    names = ("background", "left lung", "right \N{GREEK SMALL LETTER MU}", "heart")[: shape[0] + 1]
    file = write(tmp_path, probability, names)
    with Image.open(file) as picture:
        assert getattr(picture, "n_frames", 1) == shape[0]
        for label in range(shape[0]):
            picture.seek(label)
            assert picture.mode == "F"
            np.testing.assert_array_equal(np.asarray(picture), probability[label])
    with tifffile.TiffFile(file) as tiff:
        said = [page.tags["ImageDescription"].value for page in tiff.pages]
    expected = ("1 left lung", "2 right ?", "3 heart")
    assert said == [f"Lexiseg probability map: {name}" for name in expected[: shape[0]]]
