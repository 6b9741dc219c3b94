"""Whose left the reports mean, and how often they agree with the masks."""

from __future__ import annotations

import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.side_convention import (
    FactorAgreement,
    SideEvidence,
    factor_agreement,
    infer_side,
    one_sided,
)
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")

LEFT, OTHER_LEFT, RIGHT, BOTH, EMPTY = (
    (1, 0, 2, 7),
    (1, 0, 0, 7),
    (1, 0, 7, 2),
    (0, 1, 2, 2),
    (UNKNOWN, UNKNOWN, 7, 7),
)


@pytest.mark.parametrize(
    ("indices", "side"),
    [(LEFT, "left"), (RIGHT, "right"), (BOTH, None), (EMPTY, None), ((1, 0, 2, UNKNOWN), None),
     ((UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN), None), ((UNKNOWN, UNKNOWN, 3, 7), "left")],
)  # fmt: skip
def test_one_sided_chest(indices: tuple[int, ...], side: str | None) -> None:
    assert one_sided(indices, CHEST) == side


@pytest.mark.parametrize(
    ("cell", "side"), [(0, "left"), (3, "left"), (4, None), (1, None), (8, "right"), (-1, None)]
)
def test_one_sided_grid(cell: int, side: str | None) -> None:
    assert one_sided((0, cell, 0, 0, 0), POLYP) == side


def test_a_vocabulary_without_sides_names_none() -> None:
    plain = POLYP.to_dict()
    for factor in plain["factors"]:
        factor["measure"] = None
    vocabulary = Vocabulary.from_dict(plain)
    assert one_sided((0, 0, 0, 0, 0), vocabulary) is None
    assert infer_side([((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))], vocabulary).cases == 0


def test_image_side_whatever_the_zone() -> None:
    pairs = (
        [(LEFT, OTHER_LEFT)] * 6
        + [(RIGHT, RIGHT)] * 4
        + [(BOTH, BOTH), (LEFT, BOTH), (BOTH, LEFT), (EMPTY, LEFT)]
    )
    assert infer_side(pairs, CHEST) == SideEvidence(side="image", share=1.0, cases=10, image_cases=10)


def test_patient_side_with_a_slip() -> None:
    pairs = [(LEFT, RIGHT)] * 19 + [(LEFT, LEFT)]
    assert infer_side(pairs, CHEST) == SideEvidence(side="patient", share=0.95, cases=20, image_cases=1)


def test_unsettled_sides_are_not_guessed() -> None:
    assert infer_side([], CHEST) == SideEvidence(side=None, share=0.0, cases=0, image_cases=0)
    assert infer_side([(LEFT, LEFT)] * 4, CHEST).side is None
    assert infer_side([(LEFT, LEFT)] * 5, CHEST).side == "image"
    assert infer_side([(LEFT, LEFT)] * 89 + [(LEFT, RIGHT)] * 11, CHEST).side is None
    assert infer_side([(LEFT, LEFT)] * 90 + [(LEFT, RIGHT)] * 10, CHEST).side == "image"
    assert infer_side([(LEFT, LEFT)] * 10 + [(LEFT, RIGHT)] * 90, CHEST).side == "patient"


def test_agreement_per_factor() -> None:
    pairs = [(LEFT, OTHER_LEFT), (BOTH, BOTH), ((UNKNOWN, 0, 2, UNKNOWN), (1, 1, 2, UNKNOWN))]
    assert factor_agreement(iter(pairs), CHEST) == {
        "laterality": FactorAgreement(rate=1.0, cases=2),
        "count": FactorAgreement(rate=2 / 3, cases=3),
        "left": FactorAgreement(rate=2 / 3, cases=3),
        "right": FactorAgreement(rate=1.0, cases=2),
    }
    assert factor_agreement([], CHEST)["left"] == FactorAgreement(rate=None, cases=0)
