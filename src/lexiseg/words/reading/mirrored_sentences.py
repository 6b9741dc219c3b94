"""Mirror images of fixed sentences, which no grammar reads: known only where the language of all words is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

from lexiseg.printable import counted
from lexiseg.words.flip_tables import AXES, Axis
from lexiseg.words.grammar import Opposites
from lexiseg.words.reading.language import Language, load_language, shipped_languages
from lexiseg.words.text import split_words

_WAYS: dict[Axis, str] = {"horizontal": "left to right", "vertical": "upside down"}


@cache
def shipped_opposites() -> Opposites:
    """Return the words that a mirror image swaps, of all languages."""
    pairs: dict[Axis, dict[tuple[str, str], None]] = {axis: {} for axis in AXES}
    for name in shipped_languages():
        for axis in AXES:
            pairs[axis] |= dict.fromkeys(getattr(load_language(name).opposites, axis))
    return Opposites(horizontal=tuple(pairs["horizontal"]), vertical=tuple(pairs["vertical"]))


@cache
def axis_of_words() -> Mapping[str, Axis]:
    """Return the axis of each word that a mirror image swaps."""
    opposites = shipped_opposites()
    return {word: axis for axis in AXES for pair in getattr(opposites, axis) for word in pair}


def mirrored_words(sentence: str, axis: Axis) -> tuple[str, ...] | None:
    """Return the words of a sentence of the mirrored image.

    Args:
        sentence: The sentence.
        axis: "horizontal" swaps left and right, "vertical" upper and lower.

    Returns:
        The words; None where a word of direction has no opposite, or where no one language has all words and
        none of them is swapped: an unknown word may name the side then. Beside a word that is swapped, an
        unknown word in Latin letters is taken for a noun ("hypoechoic nodule in the left breast").
    """
    words = split_words(sentence)
    swaps = {a: b for pair in getattr(shipped_opposites(), axis) for a, b in (pair, pair[::-1])}
    mirrored = tuple(swaps.get(word, word) for word in words)
    languages = [load_language(name) for name in shipped_languages()]
    understood = [language for language in languages if all(_knows(language, word) for word in words)]
    if not understood and (mirrored == words or not all(map(_is_latin, words))):
        return None
    stuck = {word for language in understood or languages for word in getattr(language.directions, axis)}
    return None if stuck.intersection(words) else mirrored


def mirror_note(sentences: Iterable[str]) -> str | None:
    """Say how many of a sheet's sentences have no known mirror image; None if all have one.

    Args:
        sentences: The sentences of the sheet, which stand for the phrases of one factor.
    """
    spelled = {split_words(sentence): " ".join(sentence.split()) for sentence in sentences}
    spelled.pop((), None)
    unknown = {
        axis: [text for text in spelled.values() if mirrored_words(text, axis) not in spelled]
        for axis in AXES
    }
    if not any(unknown.values()):
        return None
    count = " and ".join(f"{len(texts)} {_WAYS[axis]}" for axis, texts in unknown.items() if texts)
    example = next(text for texts in unknown.values() for text in texts)
    return (
        f"Of {counted(len(spelled), 'distinct sentence')}, {count} have no known mirror image (such as "
        f"'{example}'): their words are in no word list, or the sheet lacks the mirrored sentence. An image "
        "with such a sentence has no known words once it is mirrored."
    )


def _is_latin(word: str) -> bool:
    return all("LATIN" in unicodedata.name(letter, "") for letter in word if letter.isalpha())


def _knows(language: Language, word: str) -> bool:
    return word[0].isdecimal() or word in language.all_words or word in _of_direction(language.name)


@cache
def _of_direction(name: str) -> frozenset[str]:
    """Return all words of direction of a language; rare ones are not in its word list."""
    language = load_language(name)
    found: set[str] = set()
    for axis in AXES:
        found.update(getattr(language.directions, axis))
        found.update(*getattr(language.opposites, axis))
    return frozenset(found)
