"""Descriptions of mirrored images, and of the other side convention."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.flip_tables import AXES, Axis, names_with_mirrored
from lexiseg.words.vocabulary import Vocabulary

__all__ = ["AXES", "Axis", "flip", "to_side", "with_mirrored"]


def flip(vocabulary: Vocabulary, indices: Sequence[int], axis: Axis) -> tuple[int, ...]:
    """Return the factor indices of the mirrored image.

    Args:
        vocabulary: The vocabulary of the indices.
        indices: One index per factor, `UNKNOWN` allowed.
        axis: "horizontal" or "vertical".

    Returns:
        One index per factor. `UNKNOWN` stays unknown; an index in a hole of the table becomes `UNKNOWN`.
    """
    flipped = [UNKNOWN] * len(vocabulary.factors)
    for index, row in zip(indices, vocabulary.flip_tables[axis], strict=True):
        target = None if index == UNKNOWN else row[index]
        if target is not None:
            flipped[target[0]] = target[1]
    return tuple(flipped)


def to_side(vocabulary: Vocabulary, indices: Sequence[int], *, given: Side, wanted: Side) -> tuple[int, ...]:
    """Return indices in the side convention `wanted`, from indices in the convention `given`.

    The image's left is the patient's right, so only the words are flipped horizontally.
    """
    return tuple(indices) if given == wanted else flip(vocabulary, indices, "horizontal")


def without_sides(vocabulary: Vocabulary, indices: Sequence[int]) -> tuple[int, ...]:
    """Return indices without those that name a side: that another side convention changes."""
    flipped = flip(vocabulary, indices, "horizontal")
    return tuple(index if index == other else UNKNOWN for index, other in zip(indices, flipped, strict=True))


def with_mirrored(
    vocabulary: Vocabulary, names: Sequence[str], axes: Sequence[Axis] = AXES
) -> tuple[str, ...]:
    """Return the factors called `names`, and all factors they become when the image is mirrored."""
    return names_with_mirrored(vocabulary.names, vocabulary.flip_tables, names, axes)
