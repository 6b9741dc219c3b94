"""Whose left is where, and how large a pixel is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_files import dicom_file, ramp, shipped
from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.orientation import (
    Directions,
    directions_of_cosines,
    directions_of_letters,
    share_on_patient_left,
    turn_to_display,
)
from lexiseg.data.readers import read_image_with_facts

LETTERS = [(row, column) for row in "LRAPHF" for column in "LRAPHF"]
PLANES = [pair for pair in LETTERS if directions_of_letters(pair) is not None]


def facts_of(path: Path) -> ImageFacts:
    facts = read_image_with_facts(path).facts
    assert facts is not None
    return facts


def test_24_of_36_pairs_of_letters_are_a_plane() -> None:
    assert len(PLANES) == 24
    assert directions_of_letters(["LF", "PH"]) == Directions(row="L", column="P")
    for wrong in (["L"], ["L", ""], ["L", "R"], ["X", "F"], [], ["L", "F", "P"]):
        assert directions_of_letters(wrong) is None


@pytest.mark.parametrize("letters", PLANES)
def test_every_orientation_is_turned_to_the_usual_display_and_back(letters: tuple[str, str]) -> None:
    directions = directions_of_letters(letters)
    turn = turn_to_display(directions)
    # A stored image whose pixels hold their place along the two directions.
    step = {"L": 1, "R": -1, "P": 10, "A": -10, "F": 100, "H": -100}
    rows, columns = np.mgrid[0:3, 0:4]
    stored = columns * step[letters[0]] + rows * step[letters[1]]
    shown = turn.apply(stored)
    right, down = shown[0, 1] - shown[0, 0], shown[1, 0] - shown[0, 0]
    planes = {frozenset({1, 100}): (1, 100), frozenset({1, 10}): (1, 10), frozenset({10, 100}): (10, 100)}
    assert (right, down) == planes[frozenset({abs(right), abs(down)})]
    assert np.array_equal(turn.undo(shown), stored)
    maps = np.stack([stored, stored + 7])
    assert np.array_equal(turn.undo_maps(turn.apply_maps(maps)), maps)
    assert np.array_equal(turn.apply_maps(maps)[1], shown + 7)


def test_cosines_give_their_main_direction() -> None:
    assert directions_of_cosines([1, 0, 0, 0, 1, 0]) == Directions(row="L", column="P")
    assert directions_of_cosines([-0.9, 0.1, 0, 0, 0.2, -0.97]) == Directions(row="R", column="F")
    assert directions_of_cosines([0, 1, 0, 0, 0, -1]) == Directions(row="P", column="F")
    for wrong in ([0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0], [float("nan")] * 6):
        assert directions_of_cosines(wrong) is None


def test_the_side_of_a_mask_is_the_patients() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 3] = 1
    assert share_on_patient_left(mask, Directions(row="L", column="F")) == 1
    assert share_on_patient_left(mask, Directions(row="R", column="F")) == 0
    # Rotated by a quarter: columns run to the patient's left, and the mask covers all of them.
    assert share_on_patient_left(mask, Directions(row="F", column="L")) == 0.5
    assert share_on_patient_left(mask[:, ::-1].T, Directions(row="F", column="L")) == 0
    assert share_on_patient_left(mask, Directions(row="P", column="F")) is None
    assert share_on_patient_left(mask * 0, Directions(row="L", column="F")) is None
    middle = np.zeros((3, 3), np.uint8)
    middle[:, 1] = 1
    assert share_on_patient_left(middle, Directions(row="L", column="F")) == 0.5


def test_the_orientation_comes_from_the_file(tmp_path: Path) -> None:
    known = facts_of(dicom_file(tmp_path / "a.dcm", ramp()))
    assert known.knows_sides
    assert known.turn.is_none
    # Cosines are exact and come before letters.
    both = facts_of(dicom_file(tmp_path / "b.dcm", ramp(), ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]))
    assert both.directions == Directions(row="R", column="P")
    assert both.turn.words == "mirrored"
    assert "turned to the usual display" in " ".join(both.assumptions)
    for number, values in enumerate(
        ({"PatientOrientation": None}, {"PatientOrientation": ""}, {"AnatomicalOrientationType": "QUADRUPED"})
    ):
        unknown = facts_of(dicom_file(tmp_path / f"c{number}.dcm", ramp(), **values))
        assert unknown.directions is None
        assert not unknown.knows_sides
        assert unknown.turn.is_none
        assert "side of its words is unknown" in " ".join(unknown.assumptions)
    lateral = facts_of(dicom_file(tmp_path / "d.dcm", ramp(), PatientOrientation=["P", "F"]))
    assert not lateral.knows_sides
    assert "left and right do not lie in the image" in " ".join(lateral.assumptions)


def test_a_real_mirrored_radiograph_is_turned() -> None:
    # The letter R in this image is mirrored, as its PatientOrientation says.
    facts = facts_of(shipped("RG3_UNCR.dcm"))
    assert facts.directions == Directions(row="R", column="F")
    assert facts.turn.words == "mirrored"


@pytest.mark.parametrize(
    ("values", "mm", "origin", "word"),
    [
        ({"modality": "CT", "PixelSpacing": [0.5, 0.6]}, (0.5, 0.6), "body", ""),
        ({"modality": "CR", "ImagerPixelSpacing": [0.1, 0.2]}, (0.1, 0.2), "detector", "not calibrated"),
        ({"modality": "CR", "PixelSpacing": [0.1, 0.2]}, (0.1, 0.2), "detector", "not calibrated"),
        # The same values twice are those of the detector; other ones have been corrected.
        (
            {"modality": "DX", "ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.1, 0.1]},
            (0.1, 0.1),
            "detector",
            "not calibrated",
        ),
        # Rounded differently.
        (
            {"modality": "DX", "ImagerPixelSpacing": [0.194222, 0.194222], "PixelSpacing": [0.1942, 0.1942]},
            (0.194222, 0.194222),
            "detector",
            "not calibrated",
        ),
        (
            {"modality": "DX", "ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.1, 0.098]},
            (0.1, 0.098),
            "calibrated",
            "",
        ),
        (
            {"modality": "DX", "ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.08, 0.08]},
            (0.08, 0.08),
            "calibrated",
            "",
        ),
        (
            {"modality": "DX", "PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.1, 0.1),
            "calibrated",
            "",
        ),
        (
            {
                "modality": "DX",
                "ImagerPixelSpacing": [0.3, 0.15],
                "EstimatedRadiographicMagnificationFactor": "1.5",
            },
            (0.2, 0.1),
            "calibrated",
            "",
        ),
        (
            {
                "modality": "DX",
                "ImagerPixelSpacing": [0.3, 0.3],
                "EstimatedRadiographicMagnificationFactor": "1",
            },
            (0.3, 0.3),
            "detector",
            "not calibrated",
        ),
        ({"modality": "CR", "PixelSpacing": [0, 0]}, None, "none", "not above 0"),
        ({"modality": "CT", "PixelSpacing": [0.5, 0]}, None, "none", "not above 0"),
        ({"modality": "CR"}, None, "none", "states no pixel spacing"),
        ({"modality": "OT", "PixelSpacing": [1, 1]}, None, "none", "without saying where"),
        ({"modality": "ES"}, None, "none", "states no pixel spacing"),
    ],
)
def test_spacing_has_an_origin(
    tmp_path: Path, values: dict[str, Any], mm: tuple[float, float] | None, origin: str, word: str
) -> None:
    spacing = facts_of(dicom_file(tmp_path / "a.dcm", ramp(), **values)).spacing
    assert (spacing.mm, spacing.origin) == (mm and pytest.approx(mm), origin)
    assert word in spacing.reason
    assert bool(word) == bool(spacing.reason)
    assert (spacing.body_mm is None) == (origin in ("detector", "none"))


def test_real_radiographs_give_no_millimetres() -> None:
    for name in ("dicomdirtests/77654033/CR1/6154", "RG1_UNCR.dcm", "RG3_UNCR.dcm"):
        assert facts_of(shipped(name)).spacing.body_mm is None
    assert facts_of(shipped("RG1_UNCR.dcm")).spacing.origin == "none"
    assert facts_of(shipped("dicomdirtests/77654033/CR1/6154")).spacing.origin == "detector"


def region(delta: float, units: int = 3, data: int = 1) -> Dataset:
    item = Dataset()
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, -delta
    item.RegionDataType = data
    return item


def test_ultrasound_states_its_spacing_per_region(tmp_path: Path) -> None:
    def spacing(name: str, *regions: Dataset) -> Any:
        path = dicom_file(
            tmp_path / name, ramp(dtype=np.uint8, step=1), modality="US", SequenceOfUltrasoundRegions=regions
        )
        return facts_of(path).spacing

    # 0.02 cm is 0.2 mm. The second region is a spectrum in seconds.
    found = spacing("a.dcm", region(0.02), region(0.5, units=4, data=3))
    assert (found.mm, found.origin) == (pytest.approx((0.2, 0.2)), "body")
    found = spacing("b.dcm", region(0.02), region(0.03))
    assert (found.mm, found.origin) == (None, "none")
    assert "differ" in found.reason
    assert spacing("c.dcm", region(0.5, units=4)).origin == "none"


def test_what_a_viewer_must_know_is_said(tmp_path: Path) -> None:
    facts = facts_of(
        dicom_file(tmp_path / "a.dcm", ramp(), BurnedInAnnotation="YES", PixelAspectRatio=["4", "3"])
    )
    said = " ".join(facts.assumptions)
    assert "burned into" in said
    assert "not square" in said
    assert "burned into" not in " ".join(facts_of(dicom_file(tmp_path / "b.dcm", ramp())).assumptions)
