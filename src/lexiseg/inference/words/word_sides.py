"""Words and reasons in the other side convention: the patient's left is the right of the usual display."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lexiseg.inference.reliability.review import disagreement
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.words.corrected_prediction import CorrectedWord
from lexiseg.words.description import Side
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import Vocabulary


def words_of_other_side(words: Sequence[RetrievedWord], vocabulary: Vocabulary) -> tuple[RetrievedWord, ...]:
    """Return words in the patient's left and right from those of the image, or the reverse.

    A phrase without a mirrored one, as of a sheet's vocabulary, is left out: it would name the wrong side.
    The probabilities of other phrases are left out too.

    Args:
        words: One per factor of the vocabulary.
        vocabulary: The vocabulary.
    """
    by_factor: dict[int, RetrievedWord] = {}
    for position, word in enumerate(words):
        target = vocabulary.flip_tables["horizontal"][position][word.index]
        if target is None:
            continue
        to, index = target
        factor = vocabulary.factors[to]
        other = dataclasses.replace(
            word,
            factor=factor.name,
            title=factor.title,
            index=index,
            phrase=factor.phrases[index],
            # Those of the other phrases would have to be converted too, and no object holds them.
            runners_up=(),
            probabilities=(),
        )
        if isinstance(other, CorrectedWord):
            retrieved = _converted_index(vocabulary, position, other.model_index, to)
            other = dataclasses.replace(other, model_index=retrieved)
        by_factor[to] = other
    return tuple(by_factor[position] for position in sorted(by_factor))


def reasons_of_other_side(prediction: Prediction, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the reasons of a prediction with its words in the other side convention.

    Args:
        prediction: The prediction.
        vocabulary: The vocabulary of its words.
    """
    words = words_of_other_side(prediction.words, vocabulary)
    if prediction.measured is None or len(words) != len(vocabulary.factors):
        return prediction.reasons
    lesion = bool(prediction.mask.any())
    stated = disagreement(prediction.words, prediction.measured, vocabulary, lesion=lesion)
    indices = flip(vocabulary, prediction.measured.indices, "horizontal")
    side: Side = "image" if prediction.measured.side == "patient" else "patient"
    measured = vocabulary.describe(indices, source="concepts", side=side)
    converted = disagreement(words, measured, vocabulary, lesion=lesion)
    reasons = (converted if reason == stated else reason for reason in prediction.reasons)
    return tuple(reason for reason in reasons if reason is not None)


def _converted_index(vocabulary: Vocabulary, position: int, index: int | None, to: int) -> int | None:
    """Return the index of a phrase in another factor in the other left and right; None without one.

    Args:
        vocabulary: The vocabulary.
        position: Position of the factor of the phrase.
        index: Index of the phrase; None for none.
        to: Position of the other factor.
    """
    if index is None:
        return None
    place = vocabulary.flip_tables["horizontal"][position][index] or (position, index)
    return place[1] if place[0] == to else None
