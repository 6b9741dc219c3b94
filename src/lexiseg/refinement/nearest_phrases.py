"""The phrases of a vocabulary that are nearest to what a person said, and never of the opposite side."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz import fuzz, process

from lexiseg.words.flip_tables import AXES
from lexiseg.words.reading.lexicon import Lexicon
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary

_NEAREST = 3
# Similarity from which a phrase is near to a text, 0..100.
_NEAR = 60


def nearest_phrases(text: str, vocabulary: Vocabulary, position: int | None = None) -> tuple[str, ...]:
    """Return the phrases nearest to a text; none has the opposite of a direction that the text names.

    Args:
        text: What a person said.
        vocabulary: The vocabulary.
        position: Position of the factor whose phrases are meant; None means all factors, and each phrase
            then stands behind the name of its factor.

    Returns:
        At most three, nearest first. Of a text without a word of direction that can be read: the nearest
        phrase of every factor, or its first one, if all factors are meant, as the side is not known.
    """
    said = _words_of(text, vocabulary)
    opposite = _opposites(vocabulary)
    if position is None and not said & opposite.keys():
        return tuple(f"{factor.name}: {_nearest(text, factor.phrases)}" for factor in vocabulary.factors)
    excluded = {opposite[word] for word in said & opposite.keys()} - said
    factors = vocabulary.factors if position is None else (vocabulary.factors[position],)
    allowed = {
        f"{factor.name}: {phrase}" if position is None else phrase: phrase
        for factor in factors
        for phrase in factor.phrases
        if not excluded.intersection(split_words(phrase))
    }
    # A phrase that names the directions that were said comes before one that names none.
    named = {
        shown: phrase
        for shown, phrase in allowed.items()
        if (said & opposite.keys()) <= set(split_words(phrase))
    }
    return _sorted(text, named or allowed)


def factor_of_phrase(text: str, vocabulary: Vocabulary) -> int | None:
    """Return the position of the first factor that has a phrase; None if none has it.

    Args:
        text: The phrase, as in the vocabulary.
        vocabulary: The vocabulary.
    """
    words = split_words(text)
    for position, factor in enumerate(vocabulary.factors):
        key = factor.lookup_key(words)
        if any(key == factor.lookup_key(split_words(phrase)) for phrase in factor.phrases):
            return position
    return None


def _nearest(text: str, phrases: Sequence[str]) -> str:
    """Return the phrase nearest to a text; the first one where none is near."""
    said = " ".join(split_words(text))
    best = max(phrases, key=lambda phrase: fuzz.WRatio(said, phrase))
    return best if fuzz.WRatio(said, best) >= _NEAR else phrases[0]


def _sorted(text: str, phrases: dict[str, str]) -> tuple[str, ...]:
    found: Sequence[tuple[str, float, str]] = process.extract(" ".join(split_words(text)), phrases)
    # Equally near phrases: the shorter one adds less to what was said.
    ordered = sorted(found, key=lambda match: (-match[1], len(match[0])))
    return tuple(shown for _, _, shown in ordered[:_NEAREST])


def _words_of(text: str, vocabulary: Vocabulary) -> set[str]:
    """Return the words of a text, and the words of the grammar that they stand for."""
    tokens = Lexicon(vocabulary).tokens(text)
    return {*split_words(text), *(token.word for token in tokens if token.word is not None)}


def _opposites(vocabulary: Vocabulary) -> dict[str, str]:
    pairs = [pair for axis in AXES for pair in getattr(vocabulary.opposites, axis)]
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}
