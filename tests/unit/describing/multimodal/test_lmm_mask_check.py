from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexiseg.describing.description_file import Check, Correction, Difference
from lexiseg.describing.multimodal.mask_check import box_cell, check_reply
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from lmm_answers import TRUE

POLYP = load_vocabulary("polyp")
CELLS = POLYP.factor("location").phrases


def checked(
    lesion: npt.NDArray[np.bool_], image: Any = None, **said: Any
) -> tuple[dict[str, str | None], Check]:
    """Return phrases and check of an answer about a red lesion."""
    if image is None:
        image = np.zeros((*lesion.shape, 3), np.uint8)
        image[lesion] = (165, 50, 45)
    indices, check = check_reply({**TRUE, **said}, lesion, image, POLYP)
    return POLYP.describe(indices, source="lmm").phrases, check


def square(*corners: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return a 90 x 90 mask with squares of 10 pixels at the given corners (row, column)."""
    mask = np.zeros((90, 90), dtype=bool)
    for row, column in corners:
        mask[row : row + 10, column : column + 10] = True
    return mask


def test_what_the_mask_bears_out_stands() -> None:
    phrases, check = checked(square((40, 40)))
    assert phrases == {**TRUE, "number": "one"}
    assert check == Check(how="compared")


@pytest.mark.parametrize(
    ("corners", "said", "phrase", "marked"),
    [
        ([(40, 40)], 2, "one", True),  # more than the mask has
        ([(40, 40)], 20140904, "one", True),
        ([(40, 20), (40, 60)], 1, "multiple", True),  # fewer
        ([(40, 20), (40, 60)], 2, "multiple", False),
        ([(40, 20), (40, 60)], 7, "multiple", True),  # capped at 2: the same phrase, and still marked
        ([(40, 10), (40, 40), (40, 70)], 2, "multiple", False),
    ],
)
def test_the_number_is_capped_by_the_regions_of_the_mask(
    corners: list[tuple[int, int]], said: int, phrase: str, marked: bool
) -> None:
    phrases, check = checked(square(*corners), number=said)
    assert phrases["number"] == phrase
    expected = (Correction(factor="number", said=str(said), became=phrase),) if marked else ()
    assert check.corrected == expected


def test_a_place_the_mask_contradicts_is_corrected() -> None:
    phrases, check = checked(square((5, 5)), location="lower right")
    assert phrases["location"] == "upper left"
    assert check.corrected == (Correction(factor="location", said="lower right", became="upper left"),)


def test_a_box_becomes_words_before_it_is_compared() -> None:
    phrases, check = checked(square((5, 5)), location=(0.05, 0.05, 0.17, 0.17))
    assert (phrases["location"], check.corrected) == ("upper left", ())
    phrases, check = checked(square((5, 5)), location=(0.4, 0.4, 0.6, 0.6))
    assert check.corrected == (
        Correction(factor="location", said="[0.4, 0.4, 0.6, 0.6]", became="upper left"),
    )


def test_what_the_eye_judges_stands_with_a_note() -> None:
    phrases, check = checked(square((40, 40)), size="large", color="white", shape="oval")
    assert (phrases["size"], phrases["color"], phrases["shape"]) == ("large", "white", "oval")
    assert check.corrected == ()
    assert check.differs == (
        Difference(factor="shape", said="oval", measured="round"),
        Difference(factor="size", said="large", measured="small"),
        Difference(factor="color", said="white", measured="red"),
    )


def test_a_grey_image_has_no_colour() -> None:
    phrases, check = checked(square((40, 40)), image=np.full((90, 90, 3), 99, np.uint8))
    assert phrases["color"] is None
    assert check.corrected == (Correction(factor="color", said="red", became=None),)


def test_lung_zones_are_places_too() -> None:
    chest = load_vocabulary("chest")
    lesion = np.zeros((90, 90), dtype=bool)
    lesion[10:25, 10:30] = True
    said: dict[str, Any] = {
        "laterality": "bilateral pulmonary infection",
        "count": 1,
        "left": "upper left lung",
        "right": "upper right lung",
    }
    indices, check = check_reply(said, lesion, np.zeros((90, 90, 3), np.uint8), chest)
    assert chest.describe(indices, source="lmm").phrases["right"] == "no lesion in right lung"
    assert [c.factor for c in check.corrected] == ["laterality", "right"]
    assert UNKNOWN not in indices


@pytest.mark.parametrize(
    ("box", "phrase"),
    [
        ((0.4, 0.4, 0.6, 0.6), "center"),
        ((0.5, 0.5, 0.6875, 0.6875), "center"),  # its middle is 0.094 away
        ((0.39, 0.14, 0.6, 0.35), "upper left"),  # 0.005 to the left, 0.255 up
        ((0.4, 0.14, 0.62, 0.35), "upper right"),
        ((0.0, 0.6, 0.2, 0.9), "lower left"),
        ((0.55, 0.55, 0.75, 0.75), "lower right"),  # 0.15 away on both axes
    ],
)
def test_the_rule_for_boxes(box: tuple[float, float, float, float], phrase: str) -> None:
    assert CELLS[box_cell(box)] == phrase


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(0, 16)] * 4).filter(lambda b: b[0] < b[2] and b[1] < b[3]))
def test_mirrored_boxes_have_mirrored_cells(box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = (value / 16 for value in box)
    cell, mirrored = box_cell((x0, y0, x1, y1)), box_cell((1 - x1, y0, 1 - x0, y1))
    if x0 + x1 != 1:  # a box on the midline itself counts as left
        assert (mirrored // 3, mirrored % 3) == (cell // 3, 2 - cell % 3)
