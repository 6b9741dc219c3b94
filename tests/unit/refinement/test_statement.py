from __future__ import annotations

import pytest

from lexiseg.errors import UsageError
from lexiseg.refinement.statement import read_statement
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

CHEST = load_vocabulary("chest")
LEFT, RIGHT = CHEST.factor("left").phrases, CHEST.factor("right").phrases


def phrases(*said: str) -> dict[str, str]:
    statement = read_statement(list(said), CHEST, side="image")
    return {
        factor.name: factor.phrases[index]
        for factor, index in zip(CHEST.factors, statement.indices, strict=True)
        if index != UNKNOWN
    }


@pytest.mark.parametrize(
    "said", ["left: lower left lung", " LEFT :  Lower left LUNG. ", "left: left lower lobe", "left: llz"]
)
def test_a_factor_with_its_phrase_states_this_factor_alone(said: str) -> None:
    assert phrases(said) == {"left": "lower left lung"}


def test_a_factor_is_known_by_its_title_too() -> None:
    title = CHEST.factor("left").title
    assert phrases(f"{title}: {LEFT[0]}") == {"left": LEFT[0]}


def test_phrases_by_factor() -> None:
    statement = read_statement({"left": LEFT[1], "right": RIGHT[2]}, CHEST, side="image")
    assert statement.indices == (UNKNOWN, UNKNOWN, 1, 2)
    assert statement.problems == ()


def test_free_text_is_read_by_the_parser() -> None:
    found = phrases("no lesion on the right; lower left only")
    assert found == {"right": "no lesion in right lung", "left": "lower left lung"}


@pytest.mark.parametrize("said", ["not only the lower left lung", "possibly lower left", "left lung unclear"])
def test_what_is_limited_or_unsure_is_not_read(said: str) -> None:
    with refuses("LEX-USE-301", "Nothing could be read"):
        read_statement(said, CHEST, side="image")


def test_factors_that_are_left_out_are_no_problem() -> None:
    statement = read_statement("no lesion on the right; lower left only", CHEST, side="image")
    assert statement.problems == ()


def test_several_statements_are_joined() -> None:
    assert phrases("left: lower left lung", "right: no lesion in right lung") == {
        "left": "lower left lung",
        "right": "no lesion in right lung",
    }


def test_what_cannot_be_read_is_said_beside_what_can() -> None:
    statement = read_statement(["left: lower left lung", "Xyzzy plugh."], CHEST, side="image")
    assert statement.indices[2] == LEFT.index("lower left lung")
    assert any("xyzzy" in problem.lower() for problem in statement.problems)


@pytest.mark.parametrize(
    ("said", "unread", "unused"),
    [
        ("lower left lung, and a pony", "'pony'", "lower left lung"),
        ("lower left lung, wrong", "'wrong'", "lower left lung"),
        ("no lesion in right lung, lower left lung, and a pony", "'pony'", "lower left lung"),
        ("a pony, lower left lung", "'pony'", "lower left lung"),
    ],
)
def test_a_part_beside_what_cannot_be_read_is_not_used_and_named(said: str, unread: str, unused: str) -> None:
    with refuses("LEX-USE-301", unread, f"'{unused}' is therefore not used", "Leave out what cannot be read"):
        read_statement(said, CHEST, side="image")


def test_the_unread_part_of_a_sentence_is_named_as_a_whole() -> None:
    with refuses("LEX-USE-301", "'lower left lung and a pony' has the word 'pony'"):
        read_statement("lower left lung and a pony", CHEST, side="image")


def test_a_sentence_that_is_read_is_used_beside_one_that_is_not() -> None:
    statement = read_statement("no lesion on the right; lower left, and a pony", CHEST, side="image")
    assert statement.indices == (UNKNOWN, UNKNOWN, UNKNOWN, RIGHT.index("no lesion in right lung"))
    assert any("'pony'" in problem for problem in statement.problems)
    assert "'lower left' is therefore not used" in statement.problems


@pytest.mark.parametrize(
    ("code", "word", "said"),
    [
        ("LEX-USE-300", "contradict", ["left: upper left lung", "left: lower left lung"]),
        ("LEX-USE-301", "Nothing could be read", ["Xyzzy plugh."]),
        ("LEX-USE-301", "empty statement", []),
        ("LEX-USE-302", "left (Left lung)", ["spleen: upper"]),
        ("LEX-USE-303", "lower left lung", ["left: left lower kidney"]),
        ("LEX-USE-304", "contradicts", ["laterality: bilateral pulmonary infection",
                                        "left: no lesion in left lung"]),
        ("LEX-USE-304", "contradicts", ["laterality: unilateral pulmonary infection",
                                        "left: upper left lung", "right: upper right lung"]),
        ("LEX-USE-301", "left: upper lower left lung", ["upper left lung; lower left lung"]),
        ("LEX-USE-304", "multiple infected areas", ["left: no lesion in left lung",
                                                    "right: no lesion in right lung",
                                                    "count: multiple infected areas"]),
    ],
)  # fmt: skip
def test_refusals(code: str, word: str, said: list[str]) -> None:
    with refuses(code, word):
        read_statement(said, CHEST, side="image")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (
            "Lower left lung affected. Rt. lung clear. Heart normal.",
            {"left": "lower left lung", "right": "no lesion in right lung"},
        ),
        (
            "Consolidation in the right upper lobe. Consolidation in the right lower lobe. Left lung clear.",
            {"left": "no lesion in left lung"},
        ),
        ("upper left lung; lower left lung; upper right lung", {"right": "upper right lung"}),
    ],
)
def test_of_a_text_that_contradicts_itself_the_rest_is_read(said: str, read: dict[str, str]) -> None:
    statement = read_statement(said, CHEST, side="image")
    assert read.items() <= phrases(said).items()
    assert statement.problems


def test_a_region_without_a_lesion_beside_one_with_contradicts_no_count() -> None:
    said = ["left: no lesion in left lung", "right: upper right lung", "count: multiple infected areas"]
    assert phrases(*said)["count"] == "multiple infected areas"


def test_statements_in_one_text_are_all_read() -> None:
    both = {"left": "lower left lung", "right": "no lesion in right lung"}
    assert phrases("left: lower left lung; right: no lesion in right lung") == both
    assert phrases("left: lower left lung, right: no lesion in right lung") == both
    assert phrases("left: lower left lung; no lesion on the right") == both


def test_a_phrase_that_speaks_of_another_factor_too_is_refused() -> None:
    with refuses("LEX-USE-303", "lower left lung"):
        read_statement("left: lower left lung and no lesion in right lung", CHEST, side="image")


def test_a_repaired_word_is_said() -> None:
    statement = read_statement("left: lower left lnug", CHEST, side="image")
    assert statement.indices[2] == LEFT.index("lower left lung")
    assert any("lnug" in problem and "lung" in problem for problem in statement.problems)


def refusal(said: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_statement(said, CHEST, side="image")
    return str(caught.value)


@pytest.mark.parametrize(
    ("said", "named", "never"),
    [
        ("lower left lung, and a pony", "such as 'left: lower left lung',", "right"),
        ("left pony", "'left: ", "right"),
        ("right pony", "'right: ", "left"),
        ("lower left pony", "'left: lower left lung'", "upper left"),
    ],
)
def test_the_nearest_phrases_are_of_the_side_that_was_said(said: str, named: str, never: str) -> None:
    message = refusal(said)
    examples = message.partition("such as ")[2]
    assert named in message
    assert examples
    assert never not in examples


def test_words_whose_side_is_not_known_get_a_phrase_of_every_factor() -> None:
    examples = refusal("左肺下葉").partition("such as ")[2]
    assert all(f"'{factor.name}: {factor.phrases[0]}'" in examples for factor in CHEST.factors)


def test_words_without_a_side_get_the_nearest_phrase_of_every_factor() -> None:
    examples = refusal("multiple spots").partition("such as ")[2]
    assert "'count: multiple infected areas'" in examples
    assert all(f"'{factor.name}: " in examples for factor in CHEST.factors)


def test_a_phrase_of_another_factor_is_named_as_such() -> None:
    message = refusal("left: lower right lung")
    assert "'lower right lung' is a phrase of the factor 'right'" in message
    assert "Say 'right: lower right lung'" in message
    assert "nearest" not in message


def test_a_factor_has_no_nearest_phrase_of_the_opposite_side() -> None:
    assert "All phrases of this factor say the opposite." in refusal("left: right pony")
    nearest = refusal("left: lower pony").partition("The nearest phrases: ")[2]
    assert "lower left lung" in nearest
    assert "upper left lung" not in nearest.split("; ")
