"""What the arms of an audit would choose differently is settled for all of them, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lexiseg
from lexiseg.data import DatasetIndex
from lexiseg.studies import settled_trials
from lexiseg.studies.arms import ArmSpec, known_arms, plan_arms
from lexiseg.studies.shared_settings import audit_trials, keep_settings, shared_settings
from lexiseg.studies.study_data import open_study_data
from lexiseg.systems.configuration import TrainConfig
from refusals import refuses

pytestmark = pytest.mark.usefixtures("no_text_model")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    """A data set whose images are square, or twice as wide as high."""
    folder = tmp_path_factory.mktemp("shapes") / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(24):
        labels = np.zeros((64, 64 + 64 * (number % 2)), np.uint8)
        labels[10 + number : 30 + number, 10:30] = 255
        noise = np.random.default_rng(number).integers(0, 40, labels.shape, dtype=np.uint8)
        Image.fromarray(labels // 2 + noise).save(folder / "images" / f"case{number:02}.png")
        Image.fromarray(labels).save(folder / "masks" / f"case{number:02}.png")
    return open_study_data(folder, seeds=range(2))


def planned(index: DatasetIndex, *names: str, **options: Any) -> list[TrainConfig]:
    arms = plan_arms(("stpnet",), names, 2, known_arms(reports=False))
    return [trial.config for trial in audit_trials(arms, index, options, None)]


@pytest.mark.parametrize(
    ("names", "options", "fit"),
    [
        (("none", "concepts"), {"fit": "auto"}, "pad"),
        (("none", "concepts"), {"fit": "auto", "masks": 0.5}, "pad"),
        # Teachers draw on stretched images; left to choose, the other two arms would pad them.
        (("none", "pseudo_labels", "concepts"), {"fit": "auto", "masks": 0.5}, "stretch"),
        (("none", "pseudo_labels", "concepts"), {"fit": "stretch", "masks": 0.5}, "stretch"),
        (("none", "concepts"), {"fit": "tiles", "masks": 0.5}, "tiles"),
    ],
)
def test_all_arms_have_one_fit(
    shapes: DatasetIndex, names: tuple[str, ...], options: dict[str, Any], fit: str
) -> None:
    assert {config.fit for config in planned(shapes, *names, image_size=64, **options)} == {fit}


@pytest.mark.parametrize("fit", ["pad", "tiles"])
def test_a_fit_that_an_arm_cannot_take_is_refused_before_any_training(shapes: DatasetIndex, fit: str) -> None:
    with refuses("LEX-USE-1825", f"`fit: {fit}` with these arms: pseudo_labels.", "Set `fit: stretch`"):
        planned(shapes, "none", "pseudo_labels", "concepts", fit=fit, masks=0.5)


def test_an_audit_whose_trainings_chose_their_fit_does_not_go_on(
    shapes: DatasetIndex, tmp_path: Path
) -> None:
    arms = plan_arms(("stpnet",), ("none", "concepts"), 2, known_arms(reports=False))
    settings = shared_settings(shapes, arms, audit_trials(arms, shapes, {"fit": "auto"}, None), None)
    chosen = settings.training.model_copy(update={"fit": "auto"})
    keep_settings(tmp_path / "audit", settings.model_copy(update={"training": chosen}))
    with refuses("LEX-RUN-021", "fit was 'auto', now 'pad'", "each training chose its own"):
        keep_settings(tmp_path / "audit", settings)


def planned_with(index: DatasetIndex, text: str, **options: Any) -> list[TrainConfig]:
    """Return the trainings of an audit of "none" and an arm of a file that takes its words from `text`."""
    told = ArmSpec(name="told", words="own", changes={"text": text})
    arms = plan_arms(("stpnet",), ("none", "told"), 1, known_arms(reports=True, further=[told]))
    return [trial.config for trial in audit_trials(arms, index, options, None)]


@pytest.mark.parametrize("text", ["auto", "FILE"])
@pytest.mark.parametrize(("follows", "affine"), [(False, 0.0), (True, 0.9)])
def test_no_arm_shifts_its_images_alone(
    index: DatasetIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    follows: bool,
    affine: float,
) -> None:
    if text == "FILE":
        text = str(tmp_path / "told.jsonl")
        lexiseg.describe(index.root, text)
    monkeypatch.setattr(settled_trials, "words_follow", lambda vocabulary: follows)
    assert {config.augment.affine for config in planned_with(index, text)} == {affine}


def test_an_arm_without_words_for_images_without_mask_is_refused_before_any_training(
    index: DatasetIndex,
) -> None:
    with refuses("LEX-DATA-127", "concepts are measured from masks"):
        planned_with(index, "concepts", masks=0.5)
