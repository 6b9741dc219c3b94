"""Descriptions measured from a label map and its image: the text source "concepts".

Measuring is exact, costs nothing but computing time, and is fast enough to be repeated after every
augmentation. Rules and thresholds are data: the `measure:` block of each factor
(`lexiseg.words.measure_rules`).

A mask mirrored left to right has exactly the mirrored words (`lexiseg.words.flips`). For a mask turned upside
down this holds for the 3 x 3 grid, but not for lung zones, whose rules are fitted to upright chests: there,
flip the words instead of measuring again.
"""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.words.color import Pixels
from lexiseg.words.description import UNKNOWN, Description, Side
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.lesion_scene import Labels, LesionScene, lesion_of, scene_of
from lexiseg.words.vocabulary import Vocabulary


def measure(
    label_map: Labels,
    vocabulary: Vocabulary,
    *,
    image: Pixels | None = None,
    label: int | None = None,
    side: Side | None = None,
) -> Description:
    """Return the description of the lesion in a label map.

    Args:
        label_map: (H, W) integers or bool, 0 is background.
        vocabulary: The phrases, and how each factor is measured.
        image: (H, W) or (H, W, 3) uint8, for colour and intensity; without it these factors are unknown.
        label: Measure this label only; default: all labels except the background.
        side: Side convention of the words; default: the vocabulary's.

    Returns:
        A description of source "concepts". Without a lesion, factors that have a phrase for "no lesion" get
        it, and all others are unknown. `problems` names what could not be measured.

    Raises:
        ValueError: The label map is not a 2-D array of integers, or the image is not uint8 of the same height
            and width.
    """
    scene = scene_of(lesion_of(label_map, label), image)
    indices = _scene_indices(scene, vocabulary, side)
    if scene is not None:
        problems = [
            f"{factor.title}: {_reason_unknown(factor, image)}"
            for factor, index in zip(vocabulary.factors, indices, strict=True)
            if index == UNKNOWN
        ]
    else:
        problems = ["There is no lesion in the mask."]
    return vocabulary.describe(indices, source="concepts", side=side, problems=problems)


def measure_indices(
    label_map: Labels,
    vocabulary: Vocabulary,
    *,
    image: Pixels | None = None,
    label: int | None = None,
    side: Side | None = None,
) -> tuple[int, ...]:
    """Return one phrase index per factor, `UNKNOWN` where a factor cannot be measured; see `measure`.

    Takes about half a millisecond for a chest mask of 224 x 224 pixels on one core.
    """
    return _scene_indices(scene_of(lesion_of(label_map, label), image), vocabulary, side)


def measured_index(factor: Factor, scene: LesionScene | None) -> int:
    """Return the measured phrase of one factor in the image's side convention.

    Args:
        factor: The factor.
        scene: The lesion; None for an empty mask.

    Returns:
        Index of the phrase; `UNKNOWN` if the factor has no rule or cannot be measured.
    """
    if factor.measure is None:
        return UNKNOWN
    if scene is None:
        return factor.measure.index_without_lesion(factor.phrases)
    return factor.measure.index(scene, factor.phrases)


def agreement(a: Sequence[int], b: Sequence[int]) -> float | None:
    """Return the share of factors on which two descriptions agree, 0..1; None if no factor is known to both.

    Args:
        a: One index per factor, `UNKNOWN` allowed.
        b: The same for the other description, in the same side convention.
    """
    known = [x == y for x, y in zip(a, b, strict=True) if UNKNOWN not in (x, y)]
    return sum(known) / len(known) if known else None


def _scene_indices(scene: LesionScene | None, vocabulary: Vocabulary, side: Side | None) -> tuple[int, ...]:
    """Return one phrase index per factor for a lesion; None stands for an empty mask."""
    indices = tuple(measured_index(factor, scene) for factor in vocabulary.factors)
    return to_side(vocabulary, indices, given="image", wanted=side or vocabulary.side)


def _reason_unknown(factor: Factor, image: Pixels | None) -> str:
    """Return why a factor could not be measured although there is a lesion."""
    if factor.measure is None:
        return "the vocabulary has no rule to measure it."
    return "needs the image." if image is None else "a grey image has no colour."
