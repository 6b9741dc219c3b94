"""How well a mask fits the description of its image, and which of its regions the description rules out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.half_features import Half
from lexiseg.words.lesion_scene import LesionScene, lesion_of, scene_of
from lexiseg.words.measure import measured_index
from lexiseg.words.vocabulary import Vocabulary

#: The fit is multiplied by this for each factor whose phrase the mask contradicts.
_CONTRADICTED = 0.1

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def mask_fit(
    label_map: NDArray[Any], vocabulary: Vocabulary, indices: Sequence[int], *, side: Side | None = None
) -> float:
    """Return how well a mask fits a description, 0..1: the product over the factors.

    A factor whose measured phrase is the stated one leaves the fit as it is; another phrase multiplies it by
    0.1. Zones are graded: they multiply it by exp(-gap), where gap is the highest score minus the score of
    the stated phrase. The scores are fitted log-probabilities, so this is the probability of the stated
    phrase relative to the measured one. Shapes, colours and lightness are not used: the mask may belong to an
    image resized to another aspect ratio, and pixels are not read.

    Args:
        label_map: (H, W) integers or bool, 0 is background.
        vocabulary: The vocabulary.
        indices: The description, one index per factor; factors that are `UNKNOWN` are not used.
        side: Side convention of the description; default: the vocabulary's.
    """
    stated = to_side(vocabulary, indices, given=side or vocabulary.side, wanted="image")
    scene = scene_of(lesion_of(label_map))
    value = 1.0
    for factor, index in zip(vocabulary.factors, stated, strict=True):
        if index != UNKNOWN:
            value *= _factor_fit(factor, scene, index)
    return value


def _factor_fit(factor: Factor, scene: LesionScene | None, index: int) -> float:
    """Return by how much a factor multiplies the fit."""
    rule = factor.measure
    if rule is None or rule.needs_image or rule.needs_proportions:
        return 1.0
    if measured_index(factor, scene) == index:
        return 1.0
    gap = rule.gap(scene, factor.phrases, index)
    return _CONTRADICTED if gap is None else math.exp(-gap)


def remove_denied_regions(
    label_map: NDArray[np.uint8], vocabulary: Vocabulary, indices: Sequence[int], *, side: Side | None = None
) -> NDArray[np.uint8]:
    """Return a mask without the connected regions (8 neighbours) that a description rules out.

    Regions that lie mostly in a half described as free of lesions are removed; then, where the description
    gives the number of regions and the mask has more, the smallest ones.

    Args:
        label_map: (H, W) uint8, 0 is background.
        vocabulary: The vocabulary.
        indices: The description, one index per factor, `UNKNOWN` allowed.
        side: Side convention of the description; default: the vocabulary's.

    Returns:
        (H, W) uint8, a new array if anything was removed.
    """
    regions, number = ndimage.label(label_map != 0, structure=_EIGHT_NEIGHBOURS)
    if number == 0:
        return label_map
    areas = np.bincount(regions.ravel(), minlength=number + 1)[1:]
    kept = np.ones(number, dtype=bool)
    stated = to_side(vocabulary, indices, given=side or vocabulary.side, wanted="image")
    for factor, index in zip(vocabulary.factors, stated, strict=True):
        half = factor.measure.half_without_lesion(factor.phrases, index) if factor.measure else None
        if half is not None:
            kept &= ~_mostly_in(half, regions, areas)
    for factor, index in zip(vocabulary.factors, stated, strict=True):
        most = factor.measure.most_regions(index) if factor.measure else None
        if most is not None:
            largest = np.argsort(np.where(kept, areas, 0), kind="stable")[::-1][:most]
            chosen = np.zeros_like(kept)
            chosen[largest] = True
            kept &= chosen
    if kept.all():
        return label_map
    return np.where(np.concatenate([[True], kept])[regions], label_map, np.uint8(0))


def _mostly_in(half: Half, regions: NDArray[np.int32], areas: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which regions have more than half of their pixels in a half of the image, (N,) bool."""
    columns = regions.shape[1]
    # The middle column of an odd width is in neither half, so a mirrored mask loses the mirrored regions.
    window = regions[:, : columns // 2] if half == "left" else regions[:, columns - columns // 2 :]
    inside = np.bincount(window.ravel(), minlength=len(areas) + 1)[1:]
    return np.asarray(2 * inside > areas)
