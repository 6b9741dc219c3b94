import re
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lexiseg.errors import DataError
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.reading.mirrored_sentences import mirror_note
from lexiseg.words.reading.reports import parse_report, parse_sheet
from lexiseg.words.reading.sentence_groups import (
    MAX_GROUPS,
    advice_to_read,
    choose_vocabulary,
    group_sentences,
)
from lexiseg.words.text import split_words
from refusals import refuses

NUCLEI = [
    f"The nuclei {what} in the {place} is {degree}."
    for what, place, degree in product(
        ("density", "size", "spacing"),
        ("upper left", "upper right", "lower left", "lower right", "center"),
        ("high", "low", "moderate"),
    )
]
OPPOSITE = {"left": "right", "right": "left"}
WORDS = {word: column for column, word in enumerate(sorted({w for s in NUCLEI for w in split_words(s)}))}

SUBJECTS = ("patient", "nurse", "surgeon", "radiologist", "family", "examiner", "colleague", "resident")


def prose(rows: int) -> list[str]:
    """Return free text: every row another sentence of about 15 words, half of them used nowhere else."""
    return [
        f"The {SUBJECTS[i % 8]} notes that "
        + " ".join(f"{a}{i:c}{b}" for a, b in zip("qwertzu", "asdfghj", strict=True)).replace(chr(i), "x" * i)
        for i in range(1, rows + 1)
    ]


def no_embedding(sentences: Sequence[str]) -> NDArray[np.float64]:
    raise AssertionError("up to 32 distinct sentences need no embedding")


def count_words(sentences: Sequence[str]) -> NDArray[np.float64]:
    """Embed sentences as counts of words, those of direction too weak to be told apart."""
    embeddings = np.zeros((len(sentences), len(WORDS)))
    for row, sentence in enumerate(sentences):
        for word in split_words(sentence):
            weak = word in {"left", "right", "upper", "lower", "center"}
            embeddings[row, WORDS[word]] += 0.01 if weak else 1.0
    return embeddings


def test_few_sentences_are_a_phrase_each() -> None:
    left, right = "Dense on the left.", "Dense on the right."
    rows = [left, right, "dense  on the left", "Sparse.", "", "?!", left]
    vocabulary = group_sentences(rows, no_embedding)
    assert vocabulary.names == ("sentence",)
    assert vocabulary.factors[0].phrases == (left, right, "Sparse.")
    assert parse_report("DENSE ON THE LEFT", vocabulary).indices == (0,)
    assert vocabulary.sentence_for((2,)) == "Sparse."
    assert vocabulary.flip_tables["horizontal"] == (((0, 1), (0, 0), (0, 2)),)


def test_many_sentences_are_grouped() -> None:
    rng = np.random.default_rng(0)
    rows = [NUCLEI[i] for i in rng.integers(0, len(NUCLEI), 300)] + NUCLEI
    vocabulary = group_sentences(rows, count_words, side="patient")
    (factor,) = vocabulary.factors
    assert 2 <= len(factor.phrases) <= MAX_GROUPS < len(NUCLEI)
    assert vocabulary.side == "patient"
    sheet = parse_sheet({str(i): row for i, row in enumerate(rows)}, vocabulary)
    assert sheet.coverage == 1
    assert {d.indices[0] for d in sheet.descriptions.values()} == set(range(len(factor.phrases)))


def test_groups_never_mix_directions_and_flip_without_holes() -> None:
    vocabulary = group_sentences(NUCLEI * 3, count_words)
    assert None not in vocabulary.flip_tables["horizontal"][0]
    assert None not in vocabulary.flip_tables["vertical"][0]
    for sentence in NUCLEI:
        (index,) = parse_report(sentence, vocabulary).indices
        mirrored = re.sub("left|right", lambda word: OPPOSITE[word.group()], sentence)
        assert flip(vocabulary, (index,), "horizontal") == parse_report(mirrored, vocabulary).indices
        assert (flip(vocabulary, (index,), "horizontal") == (index,)) == (mirrored == sentence)


def test_a_phrase_is_the_most_frequent_sentence_of_its_group() -> None:
    favourite = "The nuclei size in the upper right is moderate."
    vocabulary = group_sentences([*NUCLEI, favourite, favourite], count_words)
    assert vocabulary.factors[0].phrases[parse_report(favourite, vocabulary).indices[0]] == favourite


@settings(max_examples=10, deadline=None)
@given(st.permutations(NUCLEI))
def test_order_of_rows_changes_nothing_that_is_read(rows: list[str]) -> None:
    ours, theirs = group_sentences(rows, count_words), group_sentences(NUCLEI, count_words)
    assert ours.sizes == theirs.sizes
    assert {frozenset(g) for g in ours.factors[0].read.sentences} == {  # type: ignore[union-attr]
        frozenset(g)
        for g in theirs.factors[0].read.sentences  # type: ignore[union-attr]
    }


def test_a_missing_mirror_image_is_a_hole() -> None:
    vocabulary = group_sentences(["Dense left.", "Dense right.", "Sparse left."], no_embedding)
    index = vocabulary.factors[0].phrases.index("Sparse left.")
    assert flip(vocabulary, (index,), "horizontal") == (UNKNOWN,)
    assert flip(vocabulary, (index,), "vertical") == (index,)


def test_more_combinations_of_directions_than_groups() -> None:
    places = ["left", "right", "upper", "lower", "top", "bottom", "above", "below"]
    rows = [f"It lies {a} {b} {c}" for a, b, c in product(places, repeat=3) if a < b < c]
    assert len(rows) == 56
    vocabulary = group_sentences(rows, lambda s: np.random.default_rng(0).normal(size=(len(s), 8)))
    assert 2 <= vocabulary.sizes[0] <= MAX_GROUPS
    assert all(UNKNOWN not in parse_report(row, vocabulary).indices for row in rows)


def test_unseen_sentences_are_unknown() -> None:
    vocabulary = group_sentences(["Dense left.", "Dense right."], no_embedding)
    description = parse_report("Dense in the middle.", vocabulary)
    assert description.indices == (UNKNOWN,)
    (problem,) = description.problems
    assert problem == "Report sentence: 'Dense in the middle.' is not a sentence of this vocabulary"


def test_survives_json() -> None:
    vocabulary = group_sentences(NUCLEI, count_words)
    again = type(vocabulary).from_dict(vocabulary.to_dict())
    assert again == vocabulary
    assert again.flip_tables == vocabulary.flip_tables


@pytest.mark.parametrize("rows", [6, 40, 200])
def test_free_prose_is_refused(rows: int) -> None:
    expected = rf"free text: {rows} distinct sentences in {rows} rows.*--text concepts"
    with pytest.raises(DataError, match=expected):
        group_sentences(prose(rows), no_embedding)


def test_long_distinct_sentences_of_few_words_are_prose() -> None:
    text = "the left lung is dense and the right one is not so " * 3
    rows = [text + "x " * i for i in range(20)]
    with refuses("LEX-DATA-002", "free text"):
        group_sentences(rows, no_embedding)


def test_repeated_prose_of_many_words_is_refused() -> None:
    with refuses("LEX-DATA-002", "60 distinct sentences"):
        group_sentences(prose(60) * 10, no_embedding)


def test_few_repeated_sentences_train_whatever_they_say() -> None:
    assert group_sentences(prose(20) * 10, no_embedding).sizes == (20,)


@pytest.mark.parametrize(("rows", "count"), [([], 0), (["", " "], 0), (["Same.", "same"], 1)])
def test_nothing_to_learn(rows: list[str], count: int) -> None:
    with pytest.raises(DataError, match=rf"fewer than 2 distinct sentences \({count}\).*--text concepts"):
        group_sentences(rows, no_embedding)


CHEST_ROW = "Bilateral pulmonary infection, two infected areas, all left lung and lower right lung."
POLYP_ROW = "1 oval large pink polyp areas, located in the center of the image."


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([CHEST_ROW] * 3, "chest"),
        ([POLYP_ROW] * 3, "polyp"),
        ([CHEST_ROW] * 9 + ["unreadable"], "chest"),
        ([CHEST_ROW] * 8 + ["unreadable"] * 2, None),
        (NUCLEI, None),
        ([], None),
    ],
)
def test_choose_vocabulary(rows: list[str], name: str | None) -> None:
    chosen = choose_vocabulary(rows)
    assert (None if chosen is None else chosen.name) == name


HOLES = (None, None, None)
LUNGS = ["左肺下葉に浸潤影", "右肺上葉に浸潤影", "両肺に浸潤影"]


@pytest.mark.parametrize(
    "rows",
    [
        LUNGS,
        ["Lungenherd xlinks", "Lungenherd xrechts", "xohne Herd"],
        ["Dense in the L lung", "Dense in the R lung", "Sparse in the LLL"],
        ["Dense gauche", "Dense droite", "Sparse des deux"],
    ],
)
def test_a_sentence_with_unknown_words_has_an_unknown_mirror_image(rows: list[str]) -> None:
    """Kept words would name the wrong side of a mirrored image."""
    vocabulary = group_sentences(rows, no_embedding)
    assert vocabulary.flip_tables["horizontal"] == (HOLES,)
    again = type(vocabulary).from_dict(vocabulary.to_dict())
    assert again.flip_tables["horizontal"] == (HOLES,)


def test_german_sentences_are_mirrored_with_german_words() -> None:
    vocabulary = group_sentences(["Knoten links oben", "Knoten rechts oben", "Knoten"], no_embedding)
    bare, left, right = (
        vocabulary.factors[0].phrases.index(f"Knoten{s}") for s in ("", " links oben", " rechts oben")
    )
    assert flip(vocabulary, (left,), "horizontal") == (right,)
    assert flip(vocabulary, (left,), "vertical") == (UNKNOWN,)
    assert flip(vocabulary, (bare,), "vertical") == (bare,)


def test_a_word_of_direction_without_an_opposite_is_unknown_along_its_axis() -> None:
    vocabulary = group_sentences(["Apical left", "Apical right"], no_embedding)
    assert flip(vocabulary, (0,), "horizontal") == (1,)
    assert flip(vocabulary, (0,), "vertical") == (UNKNOWN,)


def test_sentences_without_a_mirror_image_are_counted() -> None:
    assert mirror_note(["Dense left", "Dense right", "dense  LEFT."]) is None
    note = mirror_note([*LUNGS, "Sparse"])
    assert note is not None
    assert "Of 4 distinct sentences, 3 left to right and 3 upside down have no known mirror image" in note
    assert "'左肺下葉に浸潤影'" in note


def test_the_vocabulary_that_nearly_reads_a_sheet_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    read = "bilateral pulmonary infection, two infected areas, upper left lung and upper right lung."
    sheet = [read] * 8 + ["Probable pulmonary infection.", "Possible infection in the left lung."]
    assert choose_vocabulary(sheet) is None
    with monkeypatch.context() as patch:  # the sheet is not read again
        patch.setattr("lexiseg.words.reading.sentence_groups.parse_sheet", None)
        advice = advice_to_read(sheet)
    assert "'chest' reads 80 % of the reports in full; below 90 %" in advice
    assert "`vocabulary: chest`" in advice
    assert advice_to_read(NUCLEI).startswith("No shipped vocabulary reads half of the reports; state one")
