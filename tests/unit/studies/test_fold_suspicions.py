"""Folds of a data set: each patient in one of them, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from known_answers import disc, make_run, write_case
from lexiseg.data import DatasetIndex, Sample, open_dataset
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.evaluation.suspicion_file import Suspicions
from lexiseg.json_records import write_record
from lexiseg.runs.image_hashes import IMAGE_HASHES_FILE, image_hashes
from lexiseg.runs.splits import SplitsRecord, write_splits_record
from lexiseg.studies import fold_suspicions
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


def test_a_copy_of_a_training_image_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    files = {f"case{number}": write_case(folder, f"case{number}", disc(16, 8, 8, 3)) for number in range(8)}
    first, second = (fold.split("test")[0].id for fold in fold_indices(open_dataset(folder), 2))
    files[second].write_bytes(files[first].read_bytes())

    def trained(part: DatasetIndex, config: Any, out: Path, console: Any) -> Any:
        out.mkdir(parents=True)
        write_splits_record(out, SplitsRecord(train=tuple(sample.id for sample in part.split("train"))))
        write_record(out / IMAGE_HASHES_FILE, image_hashes(part))
        return dataclasses.replace(make_run(), path=out)

    checked: list[str] = []

    def check_cases(data: DatasetIndex, parts: Any, *, left_out: int, progress: Any) -> Suspicions:
        checked.extend(sample.id for part in parts for sample in part.samples)
        return Suspicions(
            data=data.name, runs=(), side=None, checked=len(checked), left_out=left_out,
            nothing_to_check=0, notes=(), cases=(), failed=(),
        )  # fmt: skip

    monkeypatch.setattr(fold_suspicions, "_trained", trained)
    monkeypatch.setattr(fold_suspicions, "Predictor", lambda run, _: SimpleNamespace(run=run))
    monkeypatch.setattr(fold_suspicions, "check_cases", check_cases)
    monkeypatch.setattr(fold_suspicions, "write_suspicions", lambda *_: None)
    found = find_suspicions_by_folds(folder, tmp_path / "out", folds=2)
    # Each of the two is a training image of the run that checks the other.
    assert found.left_out == len(files) - len(checked) > 0
    assert {first, second}.isdisjoint(checked)
