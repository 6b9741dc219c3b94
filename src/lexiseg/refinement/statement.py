"""What a person says about an image, read with the vocabulary of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexiseg.errors import UsageError
from lexiseg.refinement.nearest_phrases import factor_of_phrase, nearest_phrases
from lexiseg.words.description import UNKNOWN, Description, Side
from lexiseg.words.half_features import Half
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zone_correction import free_halves

#: What a person says: sentences, "factor: phrase", or a phrase per factor.
Said = str | Sequence[str] | Mapping[str, str]

# "Lower left only": the phrases of a factor name all of its places, so the word adds nothing. The report
# parser leaves it unread, since in a report it may limit what another sentence says.
_ONLY = re.compile(r"\b(only|just|nur)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(no|not|without|never|kein\w*|nicht|ohne)\b", re.IGNORECASE)
_NEXT_FACTOR = re.compile(r"[;\n]|,(?=[^,;:]*:)")
_CLAUSES = re.compile(r"([.;])")
_PARTS = re.compile(r"[,.;!\n]")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a person says about an image.

    Attributes:
        texts: What was said, as it was written.
        indices: One index per factor of the vocabulary; `UNKNOWN` where nothing was said.
        problems: What could not be read, what is not used for this reason, and what was read as another word,
            one sentence each.
    """

    texts: tuple[str, ...]
    indices: tuple[int, ...]
    problems: tuple[str, ...]


def read_statement(said: Said, vocabulary: Vocabulary, *, side: Side) -> Statement:
    """Read what a person says about an image.

    Args:
        said: Free text that the report parser reads ("no lesion on the right; lower left only"), "factor:
            phrase" ("left: lower left lung"), several of both, or a phrase per factor. A factor is given by
            its name or its title.
        vocabulary: The vocabulary of the run.
        side: Side convention of "left" and "right" in it.

    Returns:
        The statement; at least one factor is known.

    Raises:
        UsageError: A factor or phrase is not in the vocabulary, nothing could be read, or the statements
            contradict each other.
    """
    if isinstance(said, Mapping):
        texts = tuple(f"{name}: {phrase}" for name, phrase in said.items())
    else:
        texts = (said,) if isinstance(said, str) else tuple(said)
    indices, problems = [UNKNOWN] * len(vocabulary.factors), list[str]()
    for text in (part for whole in texts for part in _parts(whole)):
        found, unread = _read(text, vocabulary, side)
        problems += unread
        for position, index in enumerate(found):
            if index != UNKNOWN and indices[position] not in (UNKNOWN, index):
                factor = vocabulary.factors[position]
                raise UsageError(
                    f"Two statements about {factor.title} contradict each other: "
                    f"'{factor.phrases[indices[position]]}' and '{factor.phrases[index]}'. Say only one.",
                    code="LEX-USE-300",
                )
            indices[position] = index if index != UNKNOWN else indices[position]
    if all(index == UNKNOWN for index in indices):
        why = f" ({'; '.join(problems)})" if problems else ""
        nearest = nearest_phrases(" ".join(texts), vocabulary)
        raise UsageError(
            f"Nothing could be read in {_quoted(texts)}{why}. "
            f"{'Leave out what cannot be read, or say' if problems else 'Say'} a phrase of the vocabulary"
            f"{f', such as {_quoted(nearest)}' if nearest else '; all of them name the opposite side'}.",
            code="LEX-USE-301",
        )
    _check_halves(vocabulary, indices)
    return Statement(texts=texts, indices=tuple(indices), problems=tuple(dict.fromkeys(problems)))


def _read(text: str, vocabulary: Vocabulary, side: Side) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the indices and the problems of one text."""
    name, colon, phrase = text.partition(":")
    if not colon:
        return _free_text(text, vocabulary, side)
    position = _factor(name, vocabulary)
    indices = [UNKNOWN] * len(vocabulary.factors)
    indices[position], repairs = _phrase(phrase, vocabulary, position, side)
    return tuple(indices), repairs


def _parts(text: str) -> list[str]:
    """Return the statements of a text: "left: upper left lung; right: no lesion in right lung" has two."""
    return [part for part in _NEXT_FACTOR.split(text) if part.strip()] if ":" in text else [text]


def _free_text(text: str, vocabulary: Vocabulary, side: Side) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the indices and the problems of a sentence; of a factor that it leaves out it has none."""
    clauses = [
        clause if _NEGATION.search(clause) else _ONLY.sub(" ", clause) for clause in _CLAUSES.split(text)
    ]
    kept = "".join(clauses)
    description = parse_report(kept, vocabulary, side=side)
    silent = _silent(vocabulary, description)
    unread = tuple(p for p in description.problems if not p.startswith(silent))
    unused = _unused(kept, description.indices, vocabulary, side) if unread else ()
    return description.indices, (*unread, *unused, *_repairs(description))


def _unused(text: str, indices: Sequence[int], vocabulary: Vocabulary, side: Side) -> tuple[str, ...]:
    """Name the parts that state something by themselves, but nothing beside a part that cannot be read.

    The parser does not guess what "wrong" means in "lower left lung, wrong", so it reads none of it.
    """
    unused = []
    for part in filter(str.strip, _PARTS.split(text)):
        alone = parse_report(part, vocabulary, side=side).indices
        if any(
            by_itself != UNKNOWN and used == UNKNOWN for by_itself, used in zip(alone, indices, strict=True)
        ):
            unused.append(f"'{part.strip()}' is therefore not used")
    return tuple(unused)


def _factor(name: str, vocabulary: Vocabulary) -> int:
    """Return the position of the factor with a name or title."""
    wanted = " ".join(name.split()).casefold()
    for position, factor in enumerate(vocabulary.factors):
        if wanted in (factor.name.casefold(), factor.title.casefold()):
            return position
    known = ", ".join(f"{factor.name} ({factor.title})" for factor in vocabulary.factors)
    raise UsageError(
        f"The vocabulary '{vocabulary.name}' has no factor '{name.strip()}'. Its factors: {known}.",
        code="LEX-USE-302",
    )


def _phrase(text: str, vocabulary: Vocabulary, position: int, side: Side) -> tuple[int, tuple[str, ...]]:
    """Return the index of a phrase of a factor, given as in the vocabulary or as in a report, and repairs."""
    factor = vocabulary.factors[position]
    key = factor.lookup_key(split_words(text))
    for index, phrase in enumerate(factor.phrases):
        if key == factor.lookup_key(split_words(phrase)):
            return index, ()
    found = parse_report(text, vocabulary, side=side)
    silent = _silent(vocabulary, found)
    others = [r for p, r in enumerate(found.readings) if p != position and r.read and r.index != UNKNOWN]
    index, unread = found.indices[position], [p for p in found.problems if not p.startswith(silent)]
    if index == UNKNOWN or others or unread:
        raise UsageError(_no_phrase(text.strip(), vocabulary, position), code="LEX-USE-303")
    return index, _repairs(found)


def _no_phrase(text: str, vocabulary: Vocabulary, position: int) -> str:
    """Say that a factor has no such phrase, and which other one does or which phrases are nearest."""
    factor, owner = vocabulary.factors[position], factor_of_phrase(text, vocabulary)
    if owner is not None:
        other = vocabulary.factors[owner]
        return (
            f"'{text}' is a phrase of the factor '{other.name}' ({other.title}), not of '{factor.name}' "
            f"({factor.title}). Say '{other.name}: {text}', or correct the phrase."
        )
    nearest = nearest_phrases(text, vocabulary, position)
    advice = (
        f"The nearest phrases: {'; '.join(nearest)}."
        if nearest
        else "All phrases of this factor say the opposite."
    )
    return f"'{text}' is no phrase of the factor '{factor.name}' ({factor.title}). {advice}"


def _silent(vocabulary: Vocabulary, found: Description) -> tuple[str, ...]:
    """Return what problems of factors begin with that a text leaves out."""
    pairs = zip(vocabulary.factors, found.readings, strict=True)
    begins = [f"{factor.title}: " for factor, r in pairs if r.index == UNKNOWN and not r.read]
    return tuple(begins) or ("\n",)


def _repairs(found: Description) -> tuple[str, ...]:
    """Say which words were read as other words."""
    repairs = {repair: None for reading in found.readings for repair in reading.repairs}
    return tuple(f"'{repair.found}' is read as '{repair.meant}'" for repair in repairs)


def _check_halves(vocabulary: Vocabulary, indices: Sequence[int]) -> None:
    """Refuse a number of halves, or another word about a lesion, that the stated places contradict."""
    placed: dict[Half, bool] = {}
    for factor, index in zip(vocabulary.factors, indices, strict=True):
        if index != UNKNOWN and factor.measure is not None:
            placed |= factor.measure.lesion_in_halves(factor.phrases, index)
    most, least = 2 - list(placed.values()).count(False), list(placed.values()).count(True)
    no_lesion = len(free_halves(vocabulary, indices)) == 2
    for factor, index in zip(vocabulary.factors, indices, strict=True):
        if index == UNKNOWN or factor.measure is None:
            continue
        halves = factor.measure.number_of_halves(index)
        needs_lesion = factor.measure.index_without_lesion(factor.phrases) != index
        if (halves is not None and not least <= halves <= most) or (no_lesion and needs_lesion):
            raise UsageError(
                f"'{factor.phrases[index]}' contradicts what is said about the left and the right half. Say "
                "only one of them.",
                code="LEX-USE-304",
            )


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts) or "an empty statement"
