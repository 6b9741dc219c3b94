"""How well a mask fits the description of its image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.lesion_scene import LesionScene, lesion_of, scene_of
from lexiseg.words.measure import measured_index
from lexiseg.words.vocabulary import Vocabulary

#: The fit is multiplied by this for each factor whose phrase the mask contradicts.
_CONTRADICTED = 0.1


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
