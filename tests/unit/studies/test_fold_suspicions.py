"""Folds of a data set: each patient in one of them, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from known_answers import disc, make_run, write_case
from lexiseg.data import DatasetIndex, Sample, Split, open_dataset
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.describing.describe import describe
from lexiseg.errors import DataError
from lexiseg.evaluation.suspicions.suspicion_file import Suspicions
from lexiseg.json_records import write_record
from lexiseg.runs.image_hashes import IMAGE_HASHES_FILE, image_hashes
from lexiseg.runs.manifest import MANIFEST_FILE
from lexiseg.runs.splits import SplitsRecord, write_splits_record
from lexiseg.studies import fold_suspicions
from lexiseg.studies.fold_suspicions import Fold, find_suspicions_by_folds, make_folds
from lexiseg.training.config import make_config
from lexiseg.training.unmasked_images import take_part
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses


def index(
    patients: int, *, classes: tuple[str, ...] = ("background", "lesion"), masked: int | None = None
) -> DatasetIndex:
    """Return a data set with two images per patient; each second image of a patient lacks a mask.

    Args:
        patients: Number of patients.
        classes: Names of the classes.
        masked: Number of patients with a mask; None: all.
    """
    shown = patients if masked is None else masked
    samples = tuple(
        Sample(
            id=f"p{patient}-{image}", image=Path(f"p{patient}-{image}.png"),
            mask=Path("mask.png") if image == 0 and patient < shown else None,
            split="train", patient=f"p{patient}",
        )
        for patient in range(patients) for image in range(2)
    )  # fmt: skip
    coding = MaskCoding(kind="values")
    return DatasetIndex(
        root=Path("data"), name="data", layout="folders", samples=samples, coding=coding, class_names=classes
    )


def patients_of(fold: Fold, split: Split) -> set[str | None]:
    return {sample.patient for sample in fold.index.split(split)}


def test_each_image_is_checked_once_and_no_patient_is_in_two_splits() -> None:
    data = index(30)
    folds = make_folds(data, 5)
    checked = [sample.id for fold in folds for sample in fold.checked]
    assert sorted(checked) == sorted(sample.id for sample in data.samples)
    for fold in folds:
        assert len(fold.checked) == 12
        assert len(patients_of(fold, "test")) == 6
        assert len(patients_of(fold, "val")) == 3  # every eighth of 24 patients
        assert len(patients_of(fold, "train")) == 21
        assert len(patients_of(fold, "train") | patients_of(fold, "val") | patients_of(fold, "test")) == 30
        # Scored images need a mask in a training; those without are checked all the same.
        scored = [*fold.index.split("val"), *fold.index.split("test")]
        assert all(sample.mask is not None for sample in scored)
        assert sum(sample.mask is None for sample in fold.checked) == 6
        take_part(fold.index, make_config({}))
    assert make_folds(data, 5) == folds


@pytest.mark.parametrize(("patients", "masked", "folds"), [(40, 4, 2), (40, 6, 3), (40, 11, 5)])
def test_each_run_has_masks_to_learn_from_and_others_for_validation(
    patients: int, masked: int, folds: int
) -> None:
    for fold in make_folds(index(patients, masked=masked), folds):
        assert any(sample.mask is not None for sample in fold.index.split("train"))
        assert fold.index.split("val")
        assert fold.index.split("test")
        # Patients without a mask, too, are in the fold or among those that its run can learn from.
        assert len({sample.patient for sample in (*fold.index.samples, *fold.checked)}) == patients
        assert 2 * patients // folds - 2 <= len(fold.checked) <= 2 * patients // folds + 2


def test_data_that_are_too_small_are_refused() -> None:
    with refuses("LEX-DATA-903", "18 images of 9 patients", "at least 10 patients", "fewer --folds"):
        make_folds(index(9), 5)
    names = ("background", "a", "b", "c", "d")
    with refuses("LEX-DATA-903", "smallest fold has 4 images", "at least 5"):
        make_folds(index(10, classes=names), 5)


@pytest.mark.parametrize(
    ("masked", "said"),
    [
        (0, "data has masks for 0 of 60 images, of 0 patients"),
        (1, "data has masks for 1 of 60 images, of 1 patient."),
        (9, "data has masks for 9 of 60 images, of 9 patients"),
    ],
)
def test_too_few_masks_for_the_folds_are_refused(masked: int, said: str) -> None:
    fewer = ["fewer --folds"] if masked >= 4 else []
    with refuses("LEX-DATA-1811", said, "at least 10 patients", *fewer, "--with RUN"):
        make_folds(index(30, masked=masked), 5)


def test_fewer_folds_are_advised_only_where_there_can_be_fewer() -> None:
    for data, folds in ((index(3), 2), (index(3), 5), (index(30, masked=3), 2), (index(30, masked=3), 5)):
        with pytest.raises(DataError) as caught:
            make_folds(data, folds)
        assert "--with RUN" in str(caught.value)
        assert "fewer --folds" not in str(caught.value)


@pytest.mark.parametrize("folds", [1, 0, -3])
def test_fewer_than_two_folds_are_refused(folds: int, tmp_path: Path) -> None:
    with refuses("LEX-USE-901", "at least 2"):
        find_suspicions_by_folds(tmp_path, tmp_path / "out", folds=folds)


@pytest.mark.parametrize(
    ("field", "code", "parts"),
    [
        ("masks: 0.1", "LEX-USE-1826", ("got 0.1", "Remove `masks` from the --config file")),
        ("devices: 2", "LEX-USE-1827", ("got 2", "Remove `devices` from the --config file")),
    ],
)
def test_fields_without_effect_are_refused(
    field: str, code: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(field)
    with refuses(code, *parts):
        find_suspicions_by_folds(tmp_path / "data", tmp_path / "out", config_file=file)
    assert not (tmp_path / "out").exists()


def test_a_copy_of_a_training_image_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    files = {f"case{number}": write_case(folder, f"case{number}", disc(16, 8, 8, 3)) for number in range(8)}
    first, second = (fold.checked[0].id for fold in make_folds(open_dataset(folder), 2))
    files[second].write_bytes(files[first].read_bytes())

    def trained(part: DatasetIndex, config: Any, out: Path, console: Any) -> Any:
        out.mkdir(parents=True)
        write_splits_record(out, SplitsRecord(train=tuple(sample.id for sample in part.split("train"))))
        write_record(out / IMAGE_HASHES_FILE, image_hashes(part))
        return dataclasses.replace(make_run(), path=out)

    checked: list[str] = []

    def check_cases(data: DatasetIndex, parts: Any, *, left_out: int, **_: Any) -> Suspicions:
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


def test_another_vocabulary_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "data", tmp_path / "out"
    for number in range(8):
        write_case(folder, f"case{number}", disc(16, 8, 8, 3))
    rows = "".join(f"case{number},one infected area\n" for number in range(8))
    (folder / "reports.csv").write_text(f"image,description\n{rows}", "utf-8")
    own = {**load_vocabulary("chest").to_dict(), "name": "lungs"}
    (folder / "my.yaml").write_text(json.dumps(own), "utf-8")
    (folder / "dataset.yaml").write_text("vocabulary: my.yaml\n", "utf-8")

    def start(*_: Any) -> None:
        raise KeyboardInterrupt("a training begins")

    monkeypatch.setattr(fold_suspicions, "_trained", start)

    def check(**options: Any) -> None:
        find_suspicions_by_folds(folder, out, folds=2, training=options)

    with refuses("LEX-USE-1805", "'lungs'", "my.yaml", "'chest'"):
        check(vocabulary="chest")
    words = describe(folder, tmp_path / "words.jsonl", source="concepts", vocabulary="chest").path
    with refuses("LEX-USE-1805", "'lungs'", "'chest'"):
        check(text=str(words))
    for allowed in ({}, {"vocabulary": str(folder / "my.yaml")}, {"vocabulary": "chest", "text": "none"}):
        with pytest.raises(KeyboardInterrupt, match="a training begins"):
            check(**allowed)
    # A run of an earlier call, made before dataset.yaml stated this vocabulary.
    place = out / "folds" / "fold-1"
    place.mkdir(parents=True)
    (place / MANIFEST_FILE).touch()
    monkeypatch.setattr(fold_suspicions, "_check_run", lambda *_: None)
    monkeypatch.setattr(fold_suspicions.Run, "open", lambda _: make_run())
    with refuses("LEX-USE-900", "'lungs'", "'chest'", "another --out"):
        check()
