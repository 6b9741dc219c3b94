"""How well a mask fits what is said of its image, and what words forbid in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure_indices, zone_gap
from lexiseg.words.measure_rules import (
    ColorMeasure,
    CountMeasure,
    IntensityMeasure,
    ShapeMeasure,
    ZonesMeasure,
)
from lexiseg.words.vocabulary import Vocabulary

#: What a factor that the mask contradicts leaves of the fit.
_CONTRADICTED = 0.1

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def mask_fit(
    label_map: NDArray[Any], vocabulary: Vocabulary, indices: Sequence[int], *, side: Side | None = None
) -> float:
    """Return how well a mask fits words, 0..1: the product over the factors.

    A factor whose measured phrase is the said one leaves the fit as it is; one of another phrase multiplies
    it by 0.1. Zones are graded: by exp(-gap), where gap is what the said phrase's score lacks to the best;
    as the scores are fitted log-probabilities, this is how much less likely it is than the measured one.
    Shapes, colours and lightness are passed over: the mask may be of a squashed image, and pixels are not
    looked at.

    Args:
        label_map: (H, W) integers or bool, 0 is background.
        vocabulary: The vocabulary.
        indices: What is said, one index per factor; factors that are `UNKNOWN` are passed over.
        side: Side convention of the words; default: the vocabulary's.
    """
    given = side or vocabulary.side
    said = to_side(vocabulary, indices, given=given, wanted="image")
    measured = measure_indices(label_map, vocabulary, side="image")
    value = 1.0
    for factor, wanted, found in zip(vocabulary.factors, said, measured, strict=True):
        rule = factor.measure
        if (
            wanted == UNKNOWN
            or rule is None
            or isinstance(rule, ShapeMeasure | ColorMeasure | IntensityMeasure)
        ):
            continue
        if wanted == found:
            continue
        gap = zone_gap(factor, label_map, wanted) if isinstance(rule, ZonesMeasure) else None
        value *= _CONTRADICTED if gap is None else math.exp(-gap)
    return value


def remove_denied_regions(
    label_map: NDArray[np.uint8], vocabulary: Vocabulary, indices: Sequence[int], *, side: Side | None = None
) -> NDArray[np.uint8]:
    """Return a mask without the connected regions (8 neighbours) that words rule out.

    Regions that lie mostly in a half said to hold no lesion are removed; then, where the number of regions is
    said and there are more, the smallest ones.

    Args:
        label_map: (H, W) uint8, 0 is background.
        vocabulary: The vocabulary.
        indices: What is said, one index per factor, `UNKNOWN` allowed.
        side: Side convention of the words; default: the vocabulary's.

    Returns:
        (H, W) uint8, a new array if anything was removed.
    """
    regions, number = ndimage.label(label_map != 0, structure=_EIGHT_NEIGHBOURS)
    if number == 0:
        return label_map
    areas = np.bincount(regions.ravel(), minlength=number + 1)[1:]
    kept = np.ones(number, dtype=bool)
    said = to_side(vocabulary, indices, given=side or vocabulary.side, wanted="image")
    for factor, index in zip(vocabulary.factors, said, strict=True):
        rule = factor.measure
        if isinstance(rule, ZonesMeasure) and index == factor.phrases.index(rule.absent):
            kept &= ~_mostly_in(rule.half, regions, areas)
    for factor, index in zip(vocabulary.factors, said, strict=True):
        rule = factor.measure
        if isinstance(rule, CountMeasure) and index not in (UNKNOWN, len(factor.phrases) - 1):
            most = rule.at_least[index + 1] - 1
            largest = np.argsort(np.where(kept, areas, 0), kind="stable")[::-1][:most]
            chosen = np.zeros_like(kept)
            chosen[largest] = True
            kept &= chosen
    if kept.all():
        return label_map
    return np.where(np.concatenate([[True], kept])[regions], label_map, np.uint8(0))


def _mostly_in(half: str, regions: NDArray[np.int32], areas: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which regions have more than half of their pixels in a half of the image, (N,) bool."""
    columns = regions.shape[1]
    # The middle column of an odd width is in neither half, so that mirrored masks lose mirrored regions.
    window = regions[:, : columns // 2] if half == "left" else regions[:, columns - columns // 2 :]
    inside = np.bincount(window.ravel(), minlength=len(areas) + 1)[1:]
    return np.asarray(2 * inside > areas)
