"""Data sets in the raw layout of nnU-Net, and in that of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import save_image, save_mask
from PIL import Image

from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.readers import read_pair
from refusals import refuses
from volume_files import BODY_SHAPE, body, corners, nifti

LABELS = {"background": 0, "lesion": 1}


def facts(root: Path, **values: Any) -> Path:
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(values))
    return root


def volumes(root: Path, *, channel: str = "_0000", count: int = 4, labels: Any = LABELS) -> Path:
    affine = np.diag([0.5, 0.75, 2.0, 1.0])
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        nifti(root / "imagesTr" / f"la_{number:03d}{channel}.nii.gz", body() + number, affine)
        nifti(root / "labelsTr" / f"la_{number:03d}.nii.gz", corners(left=True).astype(np.uint8), affine)
    return facts(root, channel_names={"0": "CT"}, labels=labels, numTraining=count, file_ending=".nii.gz")


def pictures(root: Path, *cases: str, kind: str = "Tr", value: int = 1) -> Path:
    for seed, case in enumerate(cases):
        save_image(root / f"images{kind}" / f"{case}_0000.png", seed + 100 * (kind == "Ts"))
        save_mask(root / f"labels{kind}" / f"{case}.png", value=value)
    return facts(root, channel_names={"0": "grey"}, labels=LABELS, file_ending=".png")


def ids(index: DatasetIndex) -> set[str]:
    return {sample.id for sample in index.samples}


@pytest.mark.parametrize("channel", ["_0000", ""])
def test_slices_of_cases_are_images_and_a_case_is_a_patient(tmp_path: Path, channel: str) -> None:
    index = open_dataset(volumes(tmp_path / "set", channel=channel))
    assert index.layout == "nnunet"
    assert ids(index) == {f"la_{case:03d}_k{k:03d}" for case in range(4) for k in range(BODY_SHAPE[2])}
    assert {sample.patient for sample in index.samples} == {f"la_{case:03d}" for case in range(4)}
    assert len({(sample.patient, sample.split) for sample in index.samples}) == 4
    assert index.class_names == ("background", "lesion")
    assert not index.left_out
    for sample in index.samples:
        image, labels = read_pair(sample, index.coding)
        assert image.shape[:2] == labels.shape == (BODY_SHAPE[1], BODY_SHAPE[0])
    assert sum(bool(read_pair(sample, index.coding)[1].any()) for sample in index.samples) == 4 * 2
    assert not [finding for finding in check_dataset(index.root).findings if finding.severity == "error"]


def test_pictures_have_the_names_of_their_cases(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *(f"A{patient:02d}_{k}" for patient in range(8) for k in range(3)))
    (root / "reports.csv").write_text("image,report\nA00_0.png,one lesion\nA07_2,no lesion\n")
    index = open_dataset(root)
    assert ids(index) == {f"A{patient:02d}_{k}" for patient in range(8) for k in range(3)}
    first = next(sample for sample in index.samples if sample.id == "A00_0")
    assert first.image == root / "imagesTr" / "A00_0_0000.png"
    assert first.mask == root / "labelsTr" / "A00_0.png"
    assert first.report == "one lesion"
    assert read_pair(first, index.coding)[1].max() == 1
    # As in other layouts, names that share a beginning stay together.
    splits = {(sample.id[:3], sample.split) for sample in index.samples}
    assert len(splits) == 8
    assert "A00_0" in json.dumps(json.loads((root / "splits.json").read_text()))
    again = open_dataset(root, seed=7)
    assert [(s.id, s.split) for s in again.samples] == [(s.id, s.split) for s in index.samples]


def test_test_images_with_labels_are_the_test_split(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcdefgh")
    pictures(root, "a", "x", kind="Ts")
    index = open_dataset(root)
    assert {sample.id for sample in index.split("test")} == {"test/a", "x"}
    assert len(index.split("train")) + len(index.split("val")) == 8
    assert index.split("val")
    assert json.loads((root / "splits.json").read_text())["test"] == []
    assert [s.id for s in open_dataset(root, seed=3).samples] == [s.id for s in index.samples]


def test_test_labels_without_images_are_no_test_split(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcdefgh")
    pictures(root, "x", kind="Ts")
    shutil.rmtree(root / "imagesTs")
    index = open_dataset(root)
    assert index.split("test")
    assert index.left_out[0].names == ("x.png",)


def test_test_images_without_labels_are_named(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcdefgh")
    pictures(root, "x", kind="Ts")
    shutil.rmtree(root / "labelsTs")
    index = open_dataset(root)
    assert ids(index) == set("abcdefgh")
    assert index.split("test")
    (left_out,) = index.left_out
    assert left_out.reason == "other-folder"
    assert "Images of imagesTs without labels, which are not read (1)" in left_out.sentence


@pytest.mark.parametrize("make", [volumes, lambda root: pictures(root, *"abcd")])
def test_several_channels_are_refused(tmp_path: Path, make: Any) -> None:
    root = make(tmp_path / "set")
    for image in list((root / "imagesTr").iterdir()):
        shutil.copy(image, image.with_name(image.name.replace("_0000", "_0001")))
    with refuses(
        "LEX-DATA-025", "holds 4 files beside the first channels", "keep one, and name it CASE_0000"
    ):
        open_dataset(root)
    findings = {finding.code for finding in check_dataset(root).findings if finding.severity == "error"}
    assert findings == {"layout"}


def test_a_volume_of_several_channels_is_refused_once(tmp_path: Path) -> None:
    root = volumes(tmp_path / "set", channel="")
    nifti(root / "imagesTr" / "la_000.nii.gz", np.stack([body()] * 2, axis=-1), np.eye(4))
    with refuses("LEX-DATA-025", "la_000.nii.gz has 12 x 10 x 8 x 2 voxels", "one time point") as refused:
        open_dataset(root)
    assert str(refused.value).count("voxels") == 1


@pytest.mark.parametrize("sheet", ["reports.csv", "cases.csv"])
def test_names_with_the_channel_are_named(tmp_path: Path, sheet: str) -> None:
    root = pictures(tmp_path / "set", *"abcd")
    (root / sheet).write_text(f"image,{'report' if sheet == 'reports.csv' else 'patient'}\na_0000.png,one\n")
    findings = check_dataset(root).findings
    assert any("only in the channel '_0000': 1, such as a_0000" in finding.message for finding in findings)


def test_plain_folders_with_names_of_nnunet_say_how_masks_differ(tmp_path: Path) -> None:
    root = volumes(tmp_path / "set")
    (root / "imagesTr").rename(root / "images")
    (root / "labelsTr").rename(root / "masks")
    with refuses("LEX-DATA-027", "only in the channel '_0000': 32, such as la_000_k000"):
        open_dataset(root)


def test_cases_without_a_label_may_train(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcdefgh")
    (root / "labelsTr" / "c.png").unlink()
    with refuses("LEX-DATA-027", "1 of 8", "c_0000.png"):
        open_dataset(root)
    index = open_dataset(root, allow_missing_masks=True)
    assert [(s.id, s.split) for s in index.samples if s.mask is None] == [("c", "train")]


def test_messages_say_how_labels_are_named(tmp_path: Path) -> None:
    root = pictures(tmp_path, *"abcd")
    (root / "labelsTr" / "a.png").rename(root / "labelsTr" / "z.png")
    with refuses("LEX-DATA-027", "The label of CASE_0000 in imagesTr is CASE in labelsTr"):
        open_dataset(root)
    found = check_dataset(root).of("orphan-mask")
    assert found is not None
    assert "The label of CASE_0000" in found.message


def test_cases_with_four_digits_and_no_label_are_no_channels(tmp_path: Path) -> None:
    for number in range(4):
        save_image(tmp_path / "imagesTr" / f"la_{number:04d}.png", number)
    with refuses("LEX-DATA-027", "no mask for 4 of 4 images"):
        open_dataset(tmp_path)


def test_classes_are_those_of_dataset_json(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcd")
    facts(root, labels={"background": 0, "organ": 2, "tumour": 1})
    assert open_dataset(root).class_names == ("background", "organ", "tumour")
    facts(root, labels={"0": "background", "1": "polyp"})
    assert open_dataset(root).class_names == ("background", "polyp")
    (root / "dataset.yaml").write_text("classes: {0: background, 1: mine}")
    facts(root, labels={"background": 0, "whole": [1, 2]})
    assert open_dataset(root).class_names == ("background", "mine")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"labels": {"background": 0, "whole": [1, 2]}}', "reads no regions"),
        ('{"labels": {"background": 0, "a": 1, "b": 1}}', "one number per class"),
        ('{"labels": {"background": 0, "a": -1}}', "one number per class"),
        ('{"labels": {"background": 0}}', "one number per class"),
        ('{"labels": ["background", "a"]}', "one number per class"),
        ('{"labels": {"background": 0, "a": 1, "ignore": 2}}', "'ignore' (2)"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, text: str, word: str) -> None:
    root = pictures(tmp_path / "set", *"abcd")
    (root / "dataset.json").write_text(text)
    with refuses("LEX-DATA-025", word, "dataset.json"):
        open_dataset(root)


def test_pictures_in_colours_are_one_file(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", *"abcd")
    for image in (root / "imagesTr").iterdir():
        Image.open(image).convert("RGB").save(image)
    facts(root, channel_names={"0": "R", "1": "G", "2": "B"}, labels=LABELS)
    assert len(open_dataset(root).samples) == 4
