"""Which phrases of a vocabulary name places, and which zones and which half of the image they name.

A zone is the smallest place that phrases of a factor name: "middle lower left lung" names the zones "middle"
and "lower" of its factor. Where no rule splits the phrases, each phrase is a zone of its own.
"""

from __future__ import annotations

from lexiseg.words.factor import Factor
from lexiseg.words.grammar import SubsetRule
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary

#: Name of a zone within its factor.
Zone = tuple[str, ...]


def place_factors(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the names of the factors about places: those of which mirroring the image changes a phrase."""
    return tuple(
        factor.name
        for position, factor in enumerate(vocabulary.factors)
        if any(
            table[position][index] != (position, index)
            for table in vocabulary.flip_tables.values()
            for index in range(len(factor.phrases))
        )
    )


def whole_image_factors(vocabulary: Vocabulary) -> tuple[bool, ...]:
    """Return per factor whether its words are about the whole image.

    These are the factors that name places ("upper left"), and those that are measured on the mask: numbers,
    sizes and shapes of lesions, of which a part of an image shows a part only. Colours and other properties
    of the lesion itself are the same in each part that shows it.
    """
    places = place_factors(vocabulary)
    return tuple(factor.measurable_on_mask or factor.name in places for factor in vocabulary.factors)


def zones_of(factor: Factor, index: int) -> frozenset[Zone]:
    """Return the zones that a phrase names; none if it says that there is no lesion.

    Args:
        factor: A factor about places.
        index: Position of the phrase.
    """
    rule = factor.measure
    if rule is not None and rule.half_without_lesion(factor.phrases, index) is not None:
        return frozenset()
    if isinstance(factor.read, SubsetRule):
        return frozenset((term,) for term in factor.read.sets[index][0])
    return frozenset({(factor.phrases[index],)})


def half_of(factor: Factor) -> Half | None:
    """Return the half of the image that all phrases of a factor are about; None if there is none."""
    if factor.measure is None:
        return None
    named = {
        frozenset(factor.measure.lesion_in_halves(factor.phrases, index))
        for index in range(len(factor.phrases))
    }
    halves = named.pop() if len(named) == 1 else frozenset()
    return next(iter(halves)) if len(halves) == 1 else None
