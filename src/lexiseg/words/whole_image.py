"""Which words are about the whole image, so that a part of it cannot tell them."""

from __future__ import annotations

from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zones import place_factors


def whole_image_factors(vocabulary: Vocabulary) -> tuple[bool, ...]:
    """Return per factor whether its words are about the whole image.

    These are the factors that name places ("upper left"), and those that are measured on the mask: numbers,
    sizes and shapes of lesions, of which a part of an image shows a part only. Colours and other properties
    of the lesion itself are the same in each part that shows it.
    """
    places = place_factors(vocabulary)
    return tuple(factor.measurable_on_mask or factor.name in places for factor in vocabulary.factors)
