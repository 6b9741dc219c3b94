"""Patients of DICOM headers in data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.refusals import refuses

from dicom_files import dicom_file
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.leaks import refuse_leaks
from lexiseg.data.sample import SPLITS


def _data(root: Path, patients: Sequence[str | None], folder: str = "", start: int = 0) -> Path:
    """Write one image and mask per patient named, with names that tell nothing."""
    for part in ("images", "masks"):
        (root / folder / part).mkdir(parents=True)
    for number, patient in enumerate(patients, start=start):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
        name = f"x{number:02d}"
        dicom_file(root / folder / "images" / f"{name}.dcm", pixels, number=number, PatientID=patient)
        mask = np.zeros((8, 8), np.uint8)
        mask[2:5, 2:5] = 255
        Image.fromarray(mask).save(root / folder / "masks" / f"{name}.png")
    return root


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_images_of_one_patient_id_stay_in_one_split(tmp_path: Path, seed: int) -> None:
    wanted = [f"HOSPITAL-{number % 5}" for number in range(20)]
    index = open_dataset(_data(tmp_path / "data", wanted), seed=seed)
    real = {f"x{number:02d}": patient for number, patient in enumerate(wanted)}
    for patient in set(wanted):
        found = [sample for sample in index.samples if real[sample.id] == patient]
        assert len({sample.split for sample in found}) == 1
        first = int(patient[-1])
        assert {sample.patient for sample in found} == {f"DICOM patient {first + 1} (x{first:02d})"}
    assert all(index.split(split) for split in SPLITS)
    said = " ".join(index.assumptions)
    assert "split by patient" in said
    assert "Patients of 20 images are read from their DICOM headers (PatientID): 5 patients" in said


def test_the_patient_id_itself_is_not_kept(tmp_path: Path) -> None:
    index = open_dataset(_data(tmp_path / "data", ["HOSPITAL-A", "HOSPITAL-B", "HOSPITAL-A", "HOSPITAL-C"]))
    assert {sample.id: sample.patient for sample in index.samples} == {
        "x00": "DICOM patient 1 (x00)",
        "x01": "DICOM patient 2 (x01)",
        "x02": "DICOM patient 1 (x00)",
        "x03": "DICOM patient 3 (x03)",
    }
    assert "HOSPITAL" not in repr(index.samples) + "".join(index.assumptions)


def test_one_patient_id_for_all_images_is_not_used_and_is_said(tmp_path: Path) -> None:
    index = open_dataset(_data(tmp_path / "data", ["ANONYMOUS"] * 6))
    assert {sample.patient for sample in index.samples} == {None}
    assert "6 DICOM images state the same PatientID. It is not used" in " ".join(index.assumptions)


def test_images_without_a_patient_id_stand_alone(tmp_path: Path) -> None:
    index = open_dataset(_data(tmp_path / "data", ["A", "B", "", None, " A "]))
    patients = {sample.id: sample.patient for sample in index.samples}
    assert patients["x02"] is None
    assert patients["x03"] is None
    assert patients["x04"] == patients["x00"] != patients["x01"]


def test_cases_csv_states_the_patient_before_the_header(tmp_path: Path) -> None:
    root = _data(tmp_path / "data", ["A", "A", "B", "C"])
    (root / "cases.csv").write_text("image,patient\nx00,first\n")
    patients = {sample.id: sample.patient for sample in open_dataset(root).samples}
    assert patients["x00"] == "first"
    assert patients["x01"] == "DICOM patient 1 (x01)"


def test_a_patient_id_in_two_given_splits_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for start, (split, patients) in enumerate(
        {"train": ["A", "B"], "val": ["C", "D"], "test": ["E", "A"]}.items()
    ):
        _data(root, patients, split, start=2 * start)
    with refuses("LEX-DATA-700", "DICOM patient 2 (x05) (train, test)"):
        refuse_leaks(open_dataset(root), allow=False)


def test_a_split_file_with_a_patient_in_two_splits_says_how_to_get_a_new_one(tmp_path: Path) -> None:
    root = _data(tmp_path / "data", ["A", "B", "C", "A"])
    (root / "splits.json").write_text('{"train": ["x00", "x01"], "val": ["x02"], "test": ["x03"]}')
    with refuses("LEX-DATA-700", "Remove splits.json, and Lexiseg makes a new split"):
        refuse_leaks(open_dataset(root), allow=False)


def test_too_few_patients_say_where_patients_are_read(tmp_path: Path) -> None:
    with refuses(
        "LEX-DATA-025",
        "Cannot split 6 images of 2 patients into train, val and test: at least 3 patients are needed.",
        "Patients of 6 images are read from their DICOM headers (PatientID)",
        "If these are not the patients, state them in cases.csv,",
    ):
        open_dataset(_data(tmp_path / "data", ["A", "B"] * 3))
