"""Sentences with negations, exceptions, hedges and contrasts: no value is wrong, and most are read.

`expected_readings.txt` holds the sentences and the values that a careful reader expects; its head says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from lexiseg.words.reading.reports import parse_sheet
from lexiseg.words.vocabulary import load_vocabulary

FILE = Path(__file__).parent / "expected_readings.txt"
ZONES = ("upper", "middle", "lower")

#: Values that the sentences state, and how many of them are read at least.
STATED, READ = 506, 444

#: Statements about something else, which change nothing.
UNRELATED = (
    "No pleural effusion.",
    "The heart is of normal size.",
    "Cardiomegaly.",
    "No rib fracture.",
    "The mediastinum is unremarkable.",
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A sentence, and its values by factor; `open` where the parser leaves one unknown."""

    vocabulary: str
    sentence: str
    values: dict[str, str]
    open: bool


def _expected() -> Iterator[Expected]:
    vocabulary, factors = "", list[str]()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            vocabulary, *factors = line.replace("[", "").replace("]", "").split()
        elif line and not line.startswith("#"):
            values, sentence = line[2:].split(" | ", 1)
            yield Expected(
                vocabulary=vocabulary,
                sentence=sentence,
                values=dict(zip(factors, values.split(), strict=True)),
                open=line.startswith("~"),
            )


ALL = tuple(_expected())
CHEST = tuple(expected.sentence for expected in ALL if expected.vocabulary == "chest")


def _value(factor: str, phrase: str | None) -> str:
    """Return a phrase as the file writes it."""
    words = (phrase or "-").split()
    if factor in ("left", "right") and phrase is not None:
        parts = sorted(word for word in words if word in ZONES)
        return "none" if words[0] == "no" else "all" if len(parts) == len(ZONES) else "+".join(parts)
    return "+".join(words) if factor == "location" else words[0]


def read_all(vocabulary: str, sentences: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the values of sentences, by sentence and factor."""
    sheet = parse_sheet({text: text for text in sentences}, load_vocabulary(vocabulary))
    return {
        text: {factor: _value(factor, phrase) for factor, phrase in description.phrases.items()}
        for text, description in sheet.descriptions.items()
    }


@cache
def readings(vocabulary: str) -> dict[str, dict[str, str]]:
    return read_all(vocabulary, tuple(e.sentence for e in ALL if e.vocabulary == vocabulary))


@pytest.mark.parametrize("expected", ALL, ids=lambda expected: expected.sentence)
def test_a_sentence(expected: Expected) -> None:
    read = readings(expected.vocabulary)[expected.sentence]
    wrong = {f: read[f] for f, value in expected.values.items() if read[f] not in ("-", value)}
    assert wrong == {}, "a wrong value"
    assert (read == expected.values) != expected.open, "unread" if not expected.open else "read now: remove ~"


def test_how_many_values_are_read() -> None:
    stated = [(e, factor) for e in ALL for factor, value in e.values.items() if value != "-"]
    read = sum(readings(e.vocabulary)[e.sentence][factor] == e.values[factor] for e, factor in stated)
    assert len(stated) == STATED
    assert read >= READ


def _mirrored(sentence: str) -> str:
    """Return a sentence with left and right exchanged, also in abbreviations."""
    pairs = ("left", "right"), ("Left", "Right"), ("LUL", "RUL"), ("LLL", "RLL"), ("Lt", "Rt"), ("L ", "R ")
    swap = {one: other for pair in pairs for one, other in (pair, pair[::-1])} | {"lt.": "rt.", "rt.": "lt."}
    pattern = r"[Ll]eft|[Rr]ight|\b(?:LUL|RUL|LLL|RLL|[LR]t|[LR] |[lr]t\.)"
    return re.sub(pattern, lambda found: swap[found[0]], sentence)


def test_a_mirrored_sentence_has_mirrored_values() -> None:
    sentences = tuple(sentence for sentence in CHEST if "RML" not in sentence)
    mirrored = read_all("chest", tuple(map(_mirrored, sentences)))
    for sentence in sentences:
        read = readings("chest")[sentence]
        other = {**read, "left": read["right"], "right": read["left"]}
        assert mirrored[_mirrored(sentence)] == other, sentence


@pytest.mark.parametrize("unrelated", UNRELATED)
def test_an_unrelated_statement_changes_nothing(unrelated: str) -> None:
    ended = {sentence: sentence if sentence[-1] in ".?!" else f"{sentence}." for sentence in CHEST}
    before = read_all("chest", tuple(f"{unrelated} {sentence}" for sentence in CHEST))
    after = read_all("chest", tuple(f"{sentence} {unrelated}" for sentence in ended.values()))
    for sentence in CHEST:
        read = readings("chest")[sentence]
        assert before[f"{unrelated} {sentence}"] == read, sentence
        assert after[f"{ended[sentence]} {unrelated}"] == read, sentence
