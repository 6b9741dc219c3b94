"""One lesion and another noun: the count is known only if both certainly speak of the same lesion."""

import pytest

from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")


@pytest.mark.parametrize(
    "sentence",
    [
        "One polyp with additional polyps.",
        "One polyp and lesions.",
        "One polyp + lesion.",
        "One polyp (lesions).",
        "One small polyp and a medium polyp.",
        "One polyp, a sessile lesion.",
        "One polyp, another polyp behind the fold.",
        "One polyp in the center. Possible polyp in the upper left.",
        "One small polyp. The large polyp is red.",
        "One polyp upper left. The polyp in the lower right is red.",
        "One polyp. The polyps are red.",
        "One polyp. The other polyp is red.",
    ],
)
def test_another_lesion_leaves_the_count_unknown(sentence: str) -> None:
    description = parse_report(sentence, POLYP)
    assert description.readings[0].phrase is None
    assert any(problem.startswith("Number: ") for problem in description.problems)


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("One polyp. The polyp is red.", "one"),
        ("One small polyp. The small polyp is located in the center.", "one"),
        ("1 oval large pink polyp areas, located in the center of the image.", "one"),
        ("One polyp in the upper left area of the image.", "one"),
        ("One polyp, no other polyp.", "one"),
        ("Indication: polyp on CT. Finding: one yellow lesion.", "one"),
        ("Two polyps and a lesion.", "multiple"),
    ],
)
def test_the_same_lesion_is_counted_once(sentence: str, number: str) -> None:
    assert parse_report(sentence, POLYP).readings[0].phrase == number


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("One infected area, upper left lung, and an additional opacity in lower left lung", None),
        ("Opacity in the left lung, one infected area.", None),
        ("One infected area of opacity in upper left lung.", "one infected area"),
        ("One infected area, infection in the upper left lung.", "one infected area"),
        ("One infected area, upper left lung, no opacity elsewhere.", "one infected area"),
    ],
)
def test_infected_areas(sentence: str, count: str | None) -> None:
    description = parse_report(sentence, CHEST)
    assert description.readings[1].phrase == count
    assert any(problem.startswith("Infected areas: ") for problem in description.problems) == (count is None)


def test_the_reason_quotes_the_other_lesion() -> None:
    problems = parse_report("One polyp and lesions.", POLYP).problems
    assert problems[0] == "Number: 'lesions' may not be counted in 'One polyp'"
