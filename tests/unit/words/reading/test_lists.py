"""Lists of places and of counts: what belongs together is joined, and what may belong together is unknown."""

import re

import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
X = UNKNOWN


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("One lesion in left lower lung, one lesion in left upper lung.", X),
        ("One infected area, a single lesion in the lower left lung.", X),
        ("One lesion in the left lung. One lesion in the right lung. One lesion at the apex.", X),
        ("One infected area, two lesions in the lower left lung.", X),
        ("Two lesions in left lower lung, two lesions in left upper lung.", 1),
        ("Several lesions in left lower lung, two lesions in left upper lung.", 1),
        ("Bilateral pulmonary infection, one infected area, upper left lung and middle right lung.", 0),
        ("Bilateral pulmonary infection, two infected areas, upper left lung and middle right lung.", 1),
    ],
)
def test_two_counts_are_no_agreement(sentence: str, count: int) -> None:
    description = parse_report(sentence, CHEST)
    assert description.indices[1] == count
    assert any(problem.startswith("Infected areas: ") for problem in description.problems) == (count == X)


def test_the_reason_quotes_both_counts() -> None:
    description = parse_report("One small polyp upper left, one large polyp lower right.", POLYP)
    assert description.indices[0] == X
    assert description.problems[0] == (
        "Number: 'One small polyp' and 'one large polyp' may count the same or different ones"
    )


def lungs(sentence: str) -> tuple[str | None, str | None]:
    """Return the phrases of both lungs; each one that is unknown has a reason."""
    description = parse_report(sentence, CHEST)
    phrases = {reading.factor: reading.phrase for reading in description.readings}
    for factor in ("left", "right"):
        if phrases[factor] is None:
            title = f"{factor.capitalize()} lung: "
            assert any(problem.startswith(title) for problem in description.problems)
    return phrases["left"], phrases["right"]


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Opacities in both upper and lower zones of the right lung.", None, "upper lower right lung"),
        ("Infection of both middle and lower lobes of the right lung.", None, "middle lower right lung"),
        ("Infection of both lower zones of the left lung.", "lower left lung", None),
        ("Both zones in the right lung are normal.", None, "no lesion in right lung"),
        ("Right lung: both upper and lower zones.", None, "upper lower right lung"),
        ("Both the right and the left lower lung.", "lower left lung", "lower right lung"),
        ("Infection of both lower lobes of both lungs.", "lower left lung", "lower right lung"),
        ("Both lower lobes are infected, right more than left.", "lower left lung", "lower right lung"),
        ("Both lower lobes, left upper lobe.", None, "lower right lung"),
        # "both" may speak of both lungs or not
        ("Both middle and lower lobes on the right.", None, None),
        ("Both lower zones show opacities in the right lung.", None, None),
        ("Both the middle lobe and the lower lobe of the right lung.", None, None),
        ("Infection in the right lung, both lower zones.", None, None),
        ("Two lesions in the right lung, both in the lower zone.", None, "lower right lung"),
        ("Right upper lobe both bases.", None, None),
        ("Both lower lobes and middle lobe.", None, None),
    ],
)
def test_both_before_the_parts_of_one_lung(sentence: str, left: str | None, right: str | None) -> None:
    assert lungs(sentence) == (left, right)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Right upper, middle and lower lobe pneumonia.", None, "upper middle lower right lung"),
        ("Right upper, middle, and lower lobe pneumonia.", None, "upper middle lower right lung"),
        ("Right lower lobe and middle lobe infection.", None, "middle lower right lung"),
        ("Left lung upper zone, middle zone and lower zone opacity.", "upper middle lower left lung", None),
        (
            "Right lung: upper zone, middle zone. Left lung: lower zone.",
            "lower left lung",
            "upper middle right lung",
        ),
        ("Right upper lobe, lower lobe, left middle lobe.", "middle left lung", "upper lower right lung"),
        (
            "Unilateral infection, right upper lobe and lower lobe.",
            "no lesion in left lung",
            "upper lower right lung",
        ),
        (
            "Right upper, middle and lower lobe, no lesion elsewhere.",
            "no lesion in left lung",
            "upper middle lower right lung",
        ),
        ("Right lung: opacity in the lower zone.", None, "lower right lung"),
        ("Infection in the right lung, lower zone.", None, "lower right lung"),
        ("Left lung clear, right lung infected, lower zone.", "no lesion in left lung", "lower right lung"),
        ("Left lung clear. Right lower zone, opacity, upper zone.", "no lesion in left lung", None),
        ("Infection in the right lung and lower zone opacity.", None, None),
        # the parts may belong to the region before them, or to another one
        ("Bilateral infection, right upper lobe and lower lobe.", None, None),
        ("Right upper lobe pneumonia, middle lobe pneumonia.", None, None),
        ("Right upper, middle and lower lobe clear.", None, "no lesion in right lung"),
        ("No infection in right upper, middle and lower lobe.", None, None),
        ("Upper lobe and lower lobe of the right lung.", None, None),
        ("Upper zone of the left lung and lower zone.", None, None),
        ("Left lung clear, lower zone infected.", None, None),
        ("Opacity in the right lower lobe. Lower lobe consolidation.", None, "lower right lung"),
    ],
)
def test_a_list_of_parts(sentence: str, left: str | None, right: str | None) -> None:
    assert lungs(sentence) == (left, right)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Left lung: no infection right lung: lower zone", None, None),
        ("Left lung clear right lung lower zone", None, None),
        ("Left lung: upper right lung: lower", None, None),
        ("Left lower right upper", None, None),
        ("Lower left upper right lung", None, None),
        ("Left lung clear and right lung lower zone", "no lesion in left lung", None),
        ("Lower left lung no lesion in right lung", "lower left lung", "no lesion in right lung"),
        ("All left lung all right lung", "upper middle lower left lung", "upper middle lower right lung"),
    ],
)
def test_two_lungs_without_a_sign_between_them(sentence: str, left: str | None, right: str | None) -> None:
    assert lungs(sentence) == (left, right)


def mirrored(words: str | None) -> str | None:
    """Return words with left and right exchanged."""
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return words and re.sub(r"\b(left|right)\b", lambda found: swap[found[0]], words, flags=re.IGNORECASE)


def check_both_ways(sentence: str, left: str | None, right: str | None) -> None:
    """Check the phrases of a sentence and those of its mirror image."""
    assert lungs(sentence) == (left, right)
    assert lungs(mirrored(sentence) or "") == (mirrored(right), mirrored(left))


@pytest.mark.parametrize(
    "sentence",
    [
        "Left lower lobe and upper lobe on the right.",
        "Left lower zone, upper zone on right.",
        "Opacity in the left lower zone, and in the upper zone on the right.",
        "Left lung: lower zone, and upper zone on the right.",
        "Left lower zone and upper zone opacity on the right.",
        "Left lower lobe and upper lobe of the right lung.",
        "Left lower zone and upper zone on the right, no lesion elsewhere.",
        "Bilateral infection, left lower lobe and upper lobe on the right.",
    ],
)
def test_the_last_part_lies_in_the_region_after_it(sentence: str) -> None:
    check_both_ways(sentence, "lower left lung", "upper right lung")


@pytest.mark.parametrize(
    "sentence",
    [
        # without a preposition it is open
        "Left lower zone and upper zone (right).",
        "Left lower lobe and upper lobe, right.",
        "Left lower zone and upper zone; right.",
        "Right lung: upper zone, lower zone left.",
        "Right lung: upper zone, lower zone left, middle zone.",
        "Left lower lobe and upper lobe right middle lobe.",
        "Left lower zone and upper zone, opacity on the right.",
        "Left lower zone and upper zone more on the right.",
        "Left lower zone and upper zone and right.",
        "Bilateral infection, two infected areas, left lower lobe and upper lobe, right.",
        # more than one part may lie there
        "Left lower and upper lobe on the right.",
        "Left lower and upper lobe of the right lung.",
        "Left lower, upper and middle zone on the right.",
        "Left lower lobe, middle lobe and upper lobe on the right.",
        "Left lower lobe, middle lobe and upper lobe of the right lung.",
        "Left lower lobe and upper lobe on the right and left.",
        # words for the other side
        "Left lower zone and upper zone contralateral.",
        "Left lower zone and upper zone, contralateral.",
        "Left lower zone and upper zone of the contralateral lung.",
        "Left lower zone and upper zone of the other lung.",
        "Left lower zone, upper zone of the other lung.",
        "Left lower zone and upper zone on the other side.",
        "Left lower zone, on the other side upper zone.",
        "Left lower and other upper zone.",
        # a negation may speak of the last part
        "Left lower zone and upper zone on the right clear.",
        "Left lower zone and upper zone on the right, clear.",
        "Left lower zone and upper zone, right clear.",
        "Left lower zone and upper zone on the right without infection.",
        "No infection in left lower lobe and upper lobe on the right.",
    ],
)
def test_the_last_part_may_lie_in_the_region_after_it(sentence: str) -> None:
    check_both_ways(sentence, None, None)


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Left lower zone and the upper zone, right lung clear.", "no lesion in right lung"),
        ("Left lower zone and upper zone, no infection on the right.", "no lesion in right lung"),
        ("Left lower zone and upper zone, other lung clear.", "no lesion in right lung"),
        ("Left upper and lower zones. Right lung clear.", "no lesion in right lung"),
        ("Left lower zone and upper zone and no lesion elsewhere.", "no lesion in right lung"),
        ("Left lower zone and upper zone, right middle zone.", "middle right lung"),
        ("Left lower zone and upper zone. Opacity on the right.", None),
        ("Left lower zone and upper zone and right lung.", None),
        ("Left lower zone and upper zone on the left.", None),
    ],
)
def test_a_statement_of_its_own_after_a_list(sentence: str, right: str | None) -> None:
    check_both_ways(sentence, "upper lower left lung", right)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Left lower lobe, upper lobe on the right, right lung clear.", "lower left lung", None),
        ("Left lower lobe and upper lobe on the right, right middle lobe.", "lower left lung", None),
        ("Left lower lobe and upper lobe on the right. Left middle lobe.", None, "upper right lung"),
        ("Left lower lobe and upper lobe on the right, middle lobe.", None, None),
    ],
)
def test_a_second_statement_about_the_same_region(sentence: str, left: str | None, right: str | None) -> None:
    check_both_ways(sentence, left, right)


def test_the_reason_quotes_the_list() -> None:
    description = parse_report("Left lower lobe and upper lobe, right.", CHEST)
    reason = "'Left lower lobe upper lobe' leaves open which part lies in which region"
    assert {f"Left lung: {reason}", f"Right lung: {reason}"} <= set(description.problems)
