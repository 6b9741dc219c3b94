"""A clear lung beside an infected one: the words of one lung are never given to the other."""

from itertools import product

import pytest

from lexiseg.words.reading.reports import parse_report, parse_sheet
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
NO_LEFT, NO_RIGHT = "no lesion in left lung", "no lesion in right lung"

CLEAR = [
    "left lung clear",
    "left side is normal",
    "left normal",
    "clear left lung",
    "left lung without infection",
    "left lung not infected",
    "left lung is free of infection",
    "infection absent in left lung",
    "no opacity in the left lung",
    "no infection on the left",
]
INFECTED = [
    "opacity in the right lung, upper zone",
    "opacity on the right",
    "upper lobe of the right lung is infected",
    "upper right lung infected",
    "right lung infected",
    "right infected",
    "right opacity",
    "right lung: upper zone",
]
BETWEEN = [
    " with ",
    " and ",
    " & ",
    " + ",
    ": ",
    " (",
    " \u2192 ",
    ", ",
    "; ",
    " but ",
    " ",
    " as well as ",
    " / ",
]


def lungs(sentence: str) -> tuple[str | None, str | None]:
    """Return the phrases of both lungs; each one that is unknown has a reason."""
    description = parse_report(sentence, CHEST)
    phrases = {reading.factor: reading.phrase for reading in description.readings}
    for factor in ("left", "right"):
        if phrases[factor] is None:
            title = f"{factor.capitalize()} lung: "
            assert any(problem.startswith(title) for problem in description.problems), description.problems
    return phrases["left"], phrases["right"]


@pytest.mark.parametrize("statement", ["", "Unilateral pulmonary infection, "])
def test_an_infected_lung_is_never_clear(statement: str) -> None:
    pairs = [
        pair
        for clear, infected in product(CLEAR, INFECTED)
        for pair in ((clear, infected), (infected, clear))
    ]
    rows = {f"{statement}{first}{sign}{second}.": "" for (first, second), sign in product(pairs, BETWEEN)}
    sheet = parse_sheet({sentence: sentence for sentence in rows}, CHEST)
    wrong = {}
    for sentence, description in sheet.descriptions.items():
        phrases = {reading.factor: reading.phrase for reading in description.readings}
        if phrases["left"] not in (None, NO_LEFT) or phrases["right"] not in (None, "upper right lung"):
            wrong[sentence] = phrases
    assert wrong == {}


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Left lung clear with opacity in the right lung, upper zone.", None, None),
        ("Left lung clear: opacity in the right lung, upper zone.", None, None),
        ("Left lung clear & opacity in the right lung, upper zone.", NO_LEFT, "upper right lung"),
        ("Left side is normal and upper lobe of the right lung is infected.", NO_LEFT, None),
        ("Left lung clear and right lung infected.", NO_LEFT, None),
        ("No lesion in left lung and right lung is infected.", NO_LEFT, None),
        ("No lesion in left and right lung is infected.", None, None),
        ("No lesion in left and lesion in right lung.", NO_LEFT, None),
        ("Right infected and left lung without infection.", NO_LEFT, None),
        ("Right infected and left upper zone.", "upper left lung", None),
        ("Lungs clear with opacity in right lung.", None, None),
        ("Left lung clear with opacity.", None, None),
        ("One infected area, no opacity elsewhere.", None, None),
        # read as before
        ("Left lung clear as well as right lung.", NO_LEFT, NO_RIGHT),
        ("No opacity in left and right lung.", NO_LEFT, NO_RIGHT),
        ("No left or right opacity.", NO_LEFT, NO_RIGHT),
        ("Infection is not seen in the left and right lung.", NO_LEFT, NO_RIGHT),
        ("Left clear right clear", NO_LEFT, NO_RIGHT),
        ("No area of infection in the left lung.", NO_LEFT, None),
        ("Lower left lung with no opacity in the right lung.", "lower left lung", NO_RIGHT),
        ("Left upper zone infected and no lesion in the right lung.", "upper left lung", NO_RIGHT),
        ("Lower left lung infected, with right lung clear.", "lower left lung", NO_RIGHT),
        ("Left lung infected without opacity in the right lung.", None, NO_RIGHT),
    ],
)
def test_a_negation_beside_an_infected_lung(sentence: str, left: str | None, right: str | None) -> None:
    assert lungs(sentence) == (left, right)


def test_the_reason_quotes_the_negation() -> None:
    problems = parse_report("Clear left with opacity in right lung.", CHEST).problems
    assert "Right lung: 'Clear left with opacity in right lung' leaves open what is negated" in problems


@pytest.mark.parametrize(
    "sentence",
    [
        "Opacity in left lung apical, middle and basal with right lung clear.",
        "Opacity in left lung apical, middle and basal (right lung clear).",
        "Opacity in left lung apical, basal with clear right lung.",
        "Left lung upper, lower right lung clear.",
        "Left upper, middle and lower right lobe infected.",
        "left lung: mid lobe, upper, mid, inferior right lobe is infected",
        # two sides for one place
        "Left lung: lower zone right",
        "Left lung: lower zone, right",
        "Left lung: lower zone (right)",
        "Left lung: lower zone of the right lung",
        "Left lung infected and upper zone of the right lung.",
        "Left lung: lower zone, the opposite lung",
        "Left lung: lower zone, the other lung",
        "Left lower zone, the contralateral lung",
        "Left lower zone of the other lung",
        "Left lower lung right",
    ],
)
def test_parts_that_two_lungs_claim(sentence: str) -> None:
    description = parse_report(sentence, CHEST)
    assert [reading.phrase for reading in description.readings[2:]] == [None, None]
    assert any("open" in problem or "limits" in problem for problem in description.problems)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        (
            "Opacity in left lung apical, middle and basal, right lung clear.",
            "upper middle lower left lung",
            NO_RIGHT,
        ),
        ("Left upper lobe, middle and lower right lobe.", "upper left lung", "middle lower right lung"),
        ("Left lung upper, lower right lung.", "upper left lung", "lower right lung"),
        ("Left lung: lower zone right lung: upper zone", "lower left lung", "upper right lung"),
        ("Left lung lower zone, right lung infected.", "lower left lung", None),
        ("Left lung lower zone right lung clear", "lower left lung", NO_RIGHT),
        ("Left lung: lower zone, other lung clear.", "lower left lung", NO_RIGHT),
        ("Left lower zone, right.", "lower left lung", None),
        ("Lesions: (a) left base, (b) right base.", "lower left lung", None),
        ("LLL + RLL opacity.", "lower left lung", "lower right lung"),
    ],
)
def test_parts_that_one_lung_claims(sentence: str, left: str | None, right: str | None) -> None:
    readings = parse_report(sentence, CHEST).readings
    assert [reading.phrase for reading in readings[2:]] == [left, right]
