"""Folds of a data set: each patient in one of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.studies.fold_suspicions import find_suspicions_by_folds, fold_indices
from refusals import refuses


def index(patients: int, *, classes: tuple[str, ...] = ("background", "lesion")) -> DatasetIndex:
    """Return a data set with two images per patient; each second image of a patient lacks a mask."""
    samples = tuple(
        Sample(
            id=f"p{patient}-{image}", image=Path(f"p{patient}-{image}.png"),
            mask=None if image else Path("mask.png"), split="train", patient=f"p{patient}",
        )
        for patient in range(patients) for image in range(2)
    )  # fmt: skip
    coding = MaskCoding(kind="values")
    return DatasetIndex(
        root=Path("data"), name="data", layout="folders", samples=samples, coding=coding, class_names=classes
    )


def test_each_image_is_checked_once_and_no_patient_is_in_two_splits() -> None:
    data = index(30)
    folds = fold_indices(data, 5)
    checked = [sample.id for fold in folds for sample in fold.split("test")]
    assert sorted(checked) == sorted(sample.id for sample in data.samples)
    for fold in folds:
        assert len(fold.split("test")) == 12
        groups = [{sample.patient for sample in fold.split(name)} for name in ("train", "test")]
        assert not groups[0] & groups[1]
        validation = fold.split("val")
        assert len(validation) == 3  # every eighth of 24 patients
        assert all(sample.mask is not None for sample in validation)
    assert [fold.samples for fold in fold_indices(data, 5)] == [fold.samples for fold in folds]


def test_data_that_are_too_small_are_refused() -> None:
    with refuses("LEX-DATA-903", "18 images of 9 patients", "at least 10 patients", "fewer --folds"):
        fold_indices(index(9), 5)
    names = ("background", "a", "b", "c", "d")
    with refuses("LEX-DATA-903", "smallest fold has 4 images", "at least 5"):
        fold_indices(index(10, classes=names), 5)


@pytest.mark.parametrize("folds", [1, 0, -3])
def test_fewer_than_two_folds_are_refused(folds: int, tmp_path: Path) -> None:
    with refuses("LEX-USE-901", "at least 2"):
        find_suspicions_by_folds(tmp_path, tmp_path / "out", folds=folds)
