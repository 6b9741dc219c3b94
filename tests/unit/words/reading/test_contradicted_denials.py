"""A denial that other words of the report contradict, or that speaks of something else, states nothing."""

from __future__ import annotations

import pytest

from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
LEFT, RIGHT = "no lesion in left lung", "no lesion in right lung"


def lungs(sentence: str) -> tuple[str | None, str | None]:
    phrases = parse_report(sentence, CHEST).phrases
    return phrases["left"], phrases["right"]


@pytest.mark.parametrize(
    "sentence",
    [
        "Left lung clear, left lung infected.",
        "Left lung infected. Left lung normal.",
        "Infection in left lung. No infection in left lung.",
        "Left lung is clear and left lung is infected.",
        "No infection in the left lung, left lung opacity.",
        "Left lung clear, both lungs infected.",
    ],
)
def test_a_lung_with_a_lesion_and_without_one(sentence: str) -> None:
    assert lungs(sentence) == (None, None)


@pytest.mark.parametrize(
    "sentence",
    [
        "No consolidation. Opacities are seen.", "No pneumonia; opacity seen.",
        "No consolidation but opacities.",
        "Infection. Lungs clear.", "There is a lesion. No lesion in both lungs.", "Lungs clear, infection.",
        "No infection, opacities present.",
    ],
)  # fmt: skip
def test_a_lesion_without_a_place_beside_a_denial_of_all(sentence: str) -> None:
    assert lungs(sentence) == (None, None)


@pytest.mark.parametrize(
    "sentence",
    [
        "Lungs clear. One infected area.", "No infection. Two infected areas.",
        "Left lung clear, right lung clear, one infected area.", "Lungs clear, multiple opacities.",
    ],
)  # fmt: skip
def test_a_counted_lesion_beside_a_denial_of_all(sentence: str) -> None:
    description = parse_report(sentence, CHEST)
    assert set(description.phrases.values()) == {None}
    assert any("contradicts that no region has a lesion" in problem for problem in description.problems)


@pytest.mark.parametrize(
    "sentence",
    ["No infection, opacity, consolidation.", "No opacity, no infection.", "Infection-free lungs."],
)
def test_a_list_of_denied_lesions_contradicts_nothing(sentence: str) -> None:
    assert lungs(sentence) == (LEFT, RIGHT)


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("Left lung clear but opacity remains", None),
        ("Left lung clear, small opacity", None),
        ("Left lung: clear, with infection", None),
        ("Left lung clear, right lung infected, dense opacity", LEFT),
        ("Left lung clear. Right lower zone: opacity.", LEFT),
        ("Opacity, left lung clear", LEFT),
    ],
)
def test_a_lesion_without_a_place_after_a_denial(sentence: str, left: str | None) -> None:
    assert lungs(sentence)[0] == left


@pytest.mark.parametrize(
    "sentence",
    [
        "Rt. lung clear.", "ant. lung clear", "The xyz. lung is clear", "Left lung size normal.",
        "Left lung shape is normal", "The size of the left lung is normal.", "Lungs are normal in size.",
        "Normal size of the lungs.", "The infection in the left lung is clear.",
        "No lesion left in the right lung",
        "There is no infection left in the lungs",
    ],
)  # fmt: skip
def test_another_meaning_of_a_denial(sentence: str) -> None:
    assert LEFT not in lungs(sentence)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("No other lesion in the left lung.", None, None),
        ("No lesion elsewhere in the left lung.", None, None),
        ("The left lung is otherwise clear.", None, None),
        ("The other parts of the left lung are clear.", None, None),
        ("Lower left lung infected, no other lesion in the left lung.", "lower left lung", None),
        ("Lower left lung infected, both lungs otherwise clear.", "lower left lung", RIGHT),
        ("Lower left lung infected, no lesion elsewhere.", "lower left lung", RIGHT),
    ],
)
def test_a_denial_of_the_rest(sentence: str, left: str | None, right: str | None) -> None:
    assert lungs(sentence) == (left, right)


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("No lesion in the left lung, right lung", RIGHT),
        ("No lesion in the left lung, also right lung", RIGHT),
        ("No lesion in the left lung, large in right lung", None),
        ("No lesion in the left lung, new in right lung", None),
        ("No lesion in the left lung, seen in the right lung", None),
        ("No lesion in the left lung, involving right lung", None),
    ],
)
def test_a_negated_list_of_lungs_goes_on_with_places_only(sentence: str, right: str | None) -> None:
    assert lungs(sentence) == (LEFT, right)


@pytest.mark.parametrize(
    "sentence",
    [
        "On the right, no opacity and the left lung shows opacities",
        "No disease on the right, covid on the left",
        "In the right lung, no infection and infection in the left lung",
        "Lower right lung infected and left lung not seen",
        "Left lung infected and no infection, opacity in the right lung",
        "Opacity on the left and no infection, opacity in the right lung",
        "Right lung: opacity in the lower zone and infection in the left lung",
        "Opacity on the left with right lower zone opacity",
        "Opacity on the left and the right lung is infected in its lower zone",
        "Right lung clear except the lower zone and infection in the left lung",
    ],
)  # fmt: skip
def test_a_second_statement_of_a_clause_says_nothing_about_the_first_lung(sentence: str) -> None:
    assert lungs(sentence)[0] is None
