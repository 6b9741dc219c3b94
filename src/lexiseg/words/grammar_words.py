"""Words of a vocabulary, in the form in which the report parser holds the words of reports.

Reports are read in lower case, and a hyphen or slash separates words, so "Hypo-echoic" in a vocabulary is the
word group "hypo echoic". A file with words that no report can match is refused; a run that holds such words
is not, since prediction reads no reports.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ValidationInfo

from lexiseg.words.text import split_pieces, split_words

#: Context of a validation that refuses words which no report can match.
STRICT = {"strict": True}

_Meaning = TypeVar("_Meaning")


def _refuses(info: ValidationInfo) -> bool:
    return info.context == STRICT


def _group(text: str, info: ValidationInfo) -> str:
    words = split_words(text)
    if not words and _refuses(info):
        raise ValueError(f"expected a word, got '{text}', which has no letter and no digit")
    return " ".join(words) or text


def _single(text: str, info: ValidationInfo) -> str:
    group = _group(text, info)
    if " " in group and _refuses(info):
        raise ValueError(
            f"expected a single word, got '{text}', which is a word group in reports. Add '{group}' to "
            f"grammar.phrases, with the single word that it stands for, and use that word here"
        )
    return group


def _check_meanings(
    key: Callable[[str], Hashable], entries: Mapping[str, _Meaning], info: ValidationInfo
) -> None:
    """Raise ValueError if two spellings of one word have different meanings."""
    seen: dict[Hashable, tuple[str, _Meaning]] = {}
    for entry, meaning in entries.items():
        first, before = seen.setdefault(key(entry), (entry, meaning))
        if before != meaning and _refuses(info):
            raise ValueError(
                f"'{first}' and '{entry}' are one word in reports, but stand for '{before}' and '{meaning}'"
            )


def _by_word(entries: dict[str, _Meaning], info: ValidationInfo) -> dict[str, _Meaning]:
    _check_meanings(lambda entry: _single(entry, info), entries, info)
    return {_single(entry, info): meaning for entry, meaning in entries.items()}


def _by_group(entries: dict[str, _Meaning], info: ValidationInfo) -> dict[str, _Meaning]:
    _check_meanings(lambda entry: _group(entry, info), entries, info)
    return {_group(entry, info): meaning for entry, meaning in entries.items()}


def _by_phrase(entries: dict[str, _Meaning], info: ValidationInfo) -> dict[str, _Meaning]:
    for entry in entries:
        if not split_pieces(entry) and _refuses(info):
            raise ValueError(f"expected a word, got '{entry}', which has no letter and no digit")
    # The keys stay as written: they may hold signs, as in "r > l".
    _check_meanings(split_pieces, entries, info)
    return entries


def _meant(text: str) -> str:
    return " ".join(split_words(text))


#: A single word.
Word = Annotated[str, AfterValidator(_single)]

#: A word, or several words in a row.
WordGroup = Annotated[str, AfterValidator(_group)]

#: The words that a phrase stands for; possibly none.
Words = Annotated[str, AfterValidator(_meant)]

#: Validators of mappings from words, from word groups, and from word groups with signs.
BY_WORD = AfterValidator(_by_word)
BY_GROUP = AfterValidator(_by_group)
BY_PHRASE = AfterValidator(_by_phrase)
