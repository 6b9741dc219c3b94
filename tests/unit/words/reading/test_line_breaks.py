"""Line breaks, dashes and slashes: they end a statement, or they do not, or the factor is unknown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
THORAX = load_vocabulary(Path(__file__).parent / "chest_de.yaml")
U, M, L, UM, UL, ML, ALL, NONE = range(8)
X = UNKNOWN


def read(sentence: str) -> tuple[int, ...]:
    return parse_report(sentence, CHEST).indices[2:]


@pytest.mark.parametrize(
    "mark", ["\n", "\r\n", "\n\n", "\n- ", "\n-", "\n\u2022 ", "\n2. ", " - ", " / ", " \u2013 ", " | "]
)
@pytest.mark.parametrize(
    ("first", "second", "indices"),
    [
        ("Left lung: no infection", "Right lung: lower zone", (NONE, L)),
        ("left lung: no infection", "right lung: lower zone", (NONE, L)),
        ("LEFT LUNG CLEAR", "RIGHT LUNG: LOWER ZONE", (NONE, L)),
        ("Left lung clear", "Right lung lower zone", (NONE, L)),
        ("Left lung clear", "Right lung clear", (NONE, NONE)),
        ("No infection in left lung", "Infection in lower right lung", (NONE, L)),
        ("Left lower", "Right upper zone: clear", (L, X)),
    ],
)  # fmt: skip
def test_a_break_before_a_statement_ends_the_one_before(
    mark: str, first: str, second: str, indices: tuple[int, ...]
) -> None:
    assert read(f"{first}{mark}{second}") == read(f"{first}. {second}") == indices


@pytest.mark.parametrize(
    ("report", "indices"),
    [
        ("lower left lung\nand upper right lung", (L, U)),
        ("lower left\nlung and upper right lung", (L, U)),
        ("infection of the\nlower left lung", (L, X)),
        ("infection of the lower zone\nof the left lung", (L, X)),
        ("Upper zone of the left lung,\nlower zone of the right lung", (U, L)),
        ("Left lung:\nupper zone", (U, X)),
        ("Unilateral infection, no\nlesion in left lung, lower right lung", (NONE, L)),
        ("left lower lobe - infected", (L, X)),
        ("Opacities: left lung - upper zone, lower zone; right lung - clear", (UL, NONE)),
        ("Left lung\nupper zone infected\n\nRight lung\nclear", (U, NONE)),
    ],
)
def test_a_break_within_a_statement(report: str, indices: tuple[int, ...]) -> None:
    description = parse_report(report, CHEST)
    assert description.indices[2:] == indices
    assert not any("it is open" in problem for problem in description.problems)
    assert description.sentence == " ".join(report.split())


def test_a_number_may_wait_for_its_noun_in_the_next_line() -> None:
    report = "Unilateral infection, two infected\nareas, upper left lung."
    assert parse_report(report, CHEST).indices == (1, 1, U, NONE)


@pytest.mark.parametrize(
    "report",
    [
        "left lung clear\nright lung lower zone",
        "left lung clear - right lung lower zone",
        "LEFT LUNG CLEAR\nRIGHT LUNG LOWER ZONE",
        "left lower\nright upper",
        "right lung lower\nleft lung upper",
    ],
)
def test_a_break_that_may_end_a_statement(report: str) -> None:
    description = parse_report(report, CHEST)
    assert description.indices[2:] == (X, X)
    assert any("it is open whether a statement ends before" in problem for problem in description.problems)


def test_the_reason_says_what_to_write() -> None:
    reason = "it is open whether a statement ends before 'right lung lower zone'; a full stop would say it"
    problems = parse_report("left lung clear\nright lung lower zone infected", CHEST).problems
    assert f"Left lung: {reason}" in problems


@pytest.mark.parametrize(
    ("report", "indices"),
    [
        ("Linke Lunge frei\nRechte Lunge: Verschattung basal", (NONE, L)),
        ("Linke Lunge: frei / Rechte Lunge: Infektion unten", (NONE, L)),
        ("Infektion der linken\nLunge unten", (L, X)),
        ("Verschattung in der rechten Lunge, dort\nVerschattung unten", (X, X)),
    ],
)
def test_german_nouns_have_capitals_within_statements(report: str, indices: tuple[int, ...]) -> None:
    assert parse_report(report, THORAX).indices[2:] == indices


@given(st.data())
def test_a_wrapped_line_changes_no_phrase(data: st.DataObject) -> None:
    vocabulary = data.draw(st.sampled_from([CHEST, load_vocabulary("polyp")]))
    sentence = vocabulary.sentence_for([data.draw(st.integers(0, size - 1)) for size in vocabulary.sizes])
    words = sentence.split()
    place = data.draw(st.integers(1, len(words) - 1))
    mark = data.draw(st.sampled_from(["\n", " - ", " / "]))
    whole = parse_report(sentence, vocabulary).indices
    wrapped = parse_report(" ".join(words[:place]) + mark + " ".join(words[place:]), vocabulary)
    for index, other in zip(whole, wrapped.indices, strict=True):
        assert other in (index, X)
    if wrapped.indices != whole:
        assert any("it is open" in problem for problem in wrapped.problems)
