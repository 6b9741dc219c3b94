"""Masks in ordinary DICOM files lie on their image as both files say, or it is said that nothing says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_files import dicom_file
from lexiseg.clinic.mask_plane import turn_of_mask
from lexiseg.clinic.orientation import NO_TURN
from lexiseg.data.check.inspection import inspect_sample
from lexiseg.data.check.mask_plausibility import check_plausibility
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_mask
from lexiseg.data.sample import Sample
from refusals import refuses

CODING = MaskCoding(kind="values", values=(0, 1), labels=(0, 1))
LABELS = np.zeros((6, 8), np.uint8)
LABELS[0, :3] = LABELS[1, 0] = 1
PLANE = {
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [-3, 40, 7],
    "PixelSpacing": [2, 0.5], "FrameOfReferenceUID": "1.2.3", "PatientOrientation": ["L", "P"],
}  # fmt: skip
#: The plane of the mirrored image: its first pixel is the last one of a row.
MIRRORED = {"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0.5, 40, 7]}
NOTHING = dict.fromkeys(PLANE)


def files(folder: Path, labels: np.ndarray, mask: dict[str, object], image: dict[str, object]) -> Sample:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8)
    return Sample(
        id="a",
        image=dicom_file(folder / "images" / "a.dcm", pixels, modality="CT", **image),
        mask=dicom_file(folder / "masks" / "a.dcm", labels, modality="OT", number=2, **mask),
        split="train",
    )


@pytest.mark.parametrize(
    ("labels", "changes"), [(LABELS, {}), (LABELS[:, ::-1], {**MIRRORED, "PatientOrientation": ["R", "P"]})]
)
def test_a_mask_is_laid_where_it_says(tmp_path: Path, labels: np.ndarray, changes: dict[str, object]) -> None:
    sample = files(tmp_path, labels, {**PLANE, **changes}, PLANE)
    assert sample.mask is not None
    np.testing.assert_array_equal(read_mask(sample.mask, CODING, image=sample.image), LABELS)
    assert not inspect_sample(sample, CODING, None).place_is_unknown


def test_a_position_that_is_not_needed_may_be_damaged(tmp_path: Path) -> None:
    class Damaged(Dataset):
        def get(self, key: object, default: object = None) -> object:
            if key == "ImagePositionPatient":
                raise ValueError("damaged")
            return super().get(key, default)

    turn = turn_of_mask(Damaged(), tmp_path / "mask.dcm", Damaged(), tmp_path / "image.dcm")
    assert turn == NO_TURN


def test_a_mask_of_another_plane_is_refused(tmp_path: Path) -> None:
    sample = files(tmp_path, LABELS, {**PLANE, "ImagePositionPatient": [-3, 40, 17]}, PLANE)
    assert sample.mask is not None
    with refuses("LEX-DATA-1809", "not lie on the pixels of its image", "10 mm"):
        read_mask(sample.mask, CODING, image=sample.image)


@pytest.mark.parametrize(
    "changes",
    [
        {**NOTHING, "PatientOrientation": ["R", "P"]},
        # Positions of another frame of reference are not compared, directions of the patient are.
        {**MIRRORED, "FrameOfReferenceUID": "9.9"},
    ],
)
def test_a_mask_of_other_directions_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    sample = files(tmp_path, LABELS, {**PLANE, **changes}, PLANE)
    assert sample.mask is not None
    with refuses("LEX-DATA-2012", "towards R and P", "towards L and P"):
        read_mask(sample.mask, CODING, image=sample.image)


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    sample = files(tmp_path, LABELS, NOTHING, PLANE)
    assert sample.mask is not None
    np.testing.assert_array_equal(read_mask(sample.mask, CODING, image=sample.image), LABELS)
    inspection = inspect_sample(sample, CODING, None)
    assert inspection.place_is_unknown
    found = [item for item in check_plausibility([inspection], str) if item.code == "mask-place-unknown"]
    assert len(found) == 1


@pytest.mark.parametrize("side", ["mask", "image"])
def test_a_mask_without_position_does_not_say_where_it_lies(tmp_path: Path, side: str) -> None:
    lacking = {**PLANE, "ImagePositionPatient": None}
    sample = files(
        tmp_path, LABELS, lacking if side == "mask" else PLANE, lacking if side == "image" else PLANE
    )
    assert inspect_sample(sample, CODING, None).place_is_unknown


def test_a_mask_that_states_a_plane_of_another_frame_of_reference_does_not_say_where_it_lies(
    tmp_path: Path,
) -> None:
    sample = files(tmp_path, LABELS, {**PLANE, "FrameOfReferenceUID": "9.9"}, PLANE)
    assert inspect_sample(sample, CODING, None).place_is_unknown


def test_a_mask_of_a_radiograph_says_its_directions(tmp_path: Path) -> None:
    letters = {**NOTHING, "PatientOrientation": ["L", "F"]}
    assert not inspect_sample(files(tmp_path, LABELS, letters, letters), CODING, None).place_is_unknown


SEGMENTATION = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7", "SegmentationType": "LABELMAP"}


@pytest.mark.parametrize(
    ("mask", "image", "is_unknown"),
    [
        (PLANE, PLANE, False),
        ({**PLANE, "ImagePositionPatient": None}, PLANE, True),
        ({**PLANE, "ImagePositionPatient": None, "of": "2.25.10001"}, PLANE, False),
        ({**PLANE, "ImagePositionPatient": None, "of": "2.25.8"}, PLANE, True),
        (NOTHING, NOTHING, True),
        ({**NOTHING, "of": "2.25.10001"}, NOTHING, False),
        # The mask may be mirrored.
        ({**PLANE, "of": "2.25.10001"}, NOTHING, True),
    ],
)
def test_a_segmentation_says_where_it_lies_by_its_plane_or_the_name_of_its_image(
    tmp_path: Path, mask: dict[str, object], image: dict[str, object], is_unknown: bool
) -> None:
    stated = {**SEGMENTATION, **mask}
    instance = stated.pop("of", None)
    if instance is not None:
        named = Dataset()
        named.ReferencedSOPInstanceUID = instance
        stated["SourceImageSequence"] = [named]
    assert inspect_sample(files(tmp_path, LABELS, stated, image), CODING, None).place_is_unknown == is_unknown


def test_a_segmentation_of_a_radiograph_in_other_directions_is_refused(tmp_path: Path) -> None:
    stated = {**SEGMENTATION, **NOTHING, "PatientOrientation": ["R", "F"]}
    sample = files(tmp_path, LABELS, stated, {**NOTHING, "PatientOrientation": ["L", "F"]})
    assert sample.mask is not None
    with refuses("LEX-DATA-2012", "towards R and F", "towards L and F"):
        read_mask(sample.mask, CODING, image=sample.image)
