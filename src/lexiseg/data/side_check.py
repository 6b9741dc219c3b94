"""A wrong side is the worst error such a tool can make: reports that mean the other side are refused."""

from __future__ import annotations

from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError
from lexiseg.words.description import Side
from lexiseg.words.side_check import SideEvidence


def refuse_other_side(index: DatasetIndex, evidence: SideEvidence, *, expected: Side) -> None:
    """Refuse reports whose masks show that they follow the other convention; silent where nothing is settled.

    Args:
        index: The data set.
        evidence: What reports and masks say of each other.
        expected: The convention that `dataset.yaml` states or the vocabulary assumes.

    Raises:
        DataError: They do.
    """
    if evidence.side is None or evidence.side == expected:
        return
    stated = "dataset.yaml states" if index.side is not None else "the vocabulary assumes"
    raise DataError(
        f"The reports of {index.root} say left and right from the {evidence.side}'s point of view "
        f"({evidence.summary}), but {stated} the {expected}'s. Write `side: {evidence.side}` into "
        f"{index.root / 'dataset.yaml'}.",
        code="LEX-DATA-094",
    )
