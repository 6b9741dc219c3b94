"""One lesion and another noun: the count is known only if both certainly speak of the same lesion."""

from pathlib import Path

import pytest

from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
THORAX = load_vocabulary(Path(__file__).parent / "chest_de.yaml")


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
        "one polyp here, one polyp there",
        "One polyp. Second polyp size: small.",
        "One polyp. Additional polyp size: small.",
        "One polyp. Polyps size: small.",
        "One polyp upper left. Polyp location: lower right.",
        "One polyp. It is a second polyp.",
        "One polyp. It is on a lesion.",
        "One polyp. Additional finding: this is a lesion.",
        "One polyp upper left. It is a polyp in the lower right.",
        "One polyp with a polyp.",
        "One polyp with lesions.",
        "One polyp with another lesion.",
        "One small polyp with a medium lesion.",
        "One polyp in the upper left with lesion in the lower right.",
        "One polyp to the left of a lesion.",
        "One polyp, to the left of the lesion.",
        "One polyp and the lesion.",
        "One polyp. The polyp and the lesion are red.",
        "One polyp. The lesion behind the fold is red.",
        "One polyp upper left. The polyp lower right is red.",
        "One polyp upper left. The polyp lower right is hyperplastic.",
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
        ("One polyp. Polyp color: pink. Polyp shape: round.", "one"),
        ("One polyp; polyp size: small", "one"),
        ("One polyp. The polyp size is small.", "one"),
        ("One polyp upper left. Polyp location: upper left.", "one"),
        ("One polyp. It is a small pink polyp.", "one"),
        ("One polyp in the center and it is a small pink polyp.", "one"),
        ("One polyp. This is a flat lesion.", "one"),
        ("One medium polyp, which is a round polyp", "one"),
        ("One polyp, with the appearance of a sessile lesion.", "one"),
        ("One polyp with lesion.", "one"),
        ("One polyp. The lesion is red.", "one"),
        ("One polyp. The color of the lesion is pink.", "one"),
        ("One polyp upper left. The polyp in the upper left is red.", "one"),
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
        ("Single infected area with opacity in the middle right lung", "one infected area"),
        ("One infected area with dense opacity in left lung.", "one infected area"),
        (
            "No lesion in right lung. One infected area with opacity in the middle left lung.",
            "one infected area",
        ),
        ("One opacity in an infected area of the lower left lung.", "one infected area"),
        ("Opacity in one infected area of the left lung.", "one infected area"),
        ("One infected area: opacity in upper left lung.", "one infected area"),
        ("One opacity in lower left lung. The opacity has increased.", "one infected area"),
        ("One infected area in lower left lung. The opacity has increased.", "one infected area"),
        ("One infected area. It is an opacity in the upper left lung.", "one infected area"),
        ("One opacity in left lung. The opacities have increased.", None),
        ("One opacity. The new opacity is dense.", None),
        ("One opacity in left lung. The opacity in the right lung has increased.", None),
        ("One infected area with opacities in left lung.", None),
        ("One infected area with foci in left lung.", None),
        ("One infected area and opacity in left lung.", None),
        ("One infected area with a second opacity in left lung.", None),
        ("One infected area in upper left lung with opacity in lower left lung.", None),
        ("Opacity in left lung with one infected area in right lung.", None),
        ("One infected area with opacity in left lung and opacity in right lung.", None),
    ],
)
def test_infected_areas(sentence: str, count: str | None) -> None:
    description = parse_report(sentence, CHEST)
    assert description.readings[1].phrase == count
    assert any(problem.startswith("Infected areas: ") for problem in description.problems) == (count is None)


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("Ein einzelner Herd im linken Oberlappen. Die Verschattung ist unverändert.", "ein einzelnes Areal"),
        ("Ein einzelner Herd. Es ist ein kleiner Herd.", "ein einzelnes Areal"),
        ("Ein einzelnes Areal mit Verschattung im linken Oberlappen.", "ein einzelnes Areal"),
        ("Ein einzelner Herd; Herd Größe: 3 cm.", "ein einzelnes Areal"),
        ("Ein einzelner Herd. Die Herde sind dicht.", None),
        ("Ein einzelner Herd. Es ist ein zweiter Herd.", None),
        ("Ein einzelnes Areal mit Verschattungen.", None),
        ("Ein einzelnes Areal mit weiterer Verschattung.", None),
    ],
)
def test_german_nouns(sentence: str, count: str | None) -> None:
    assert parse_report(sentence, THORAX).readings[1].phrase == count


def test_the_reason_quotes_the_other_lesion() -> None:
    problems = parse_report("One polyp and lesions.", POLYP).problems
    assert problems[0] == "Number: 'lesions' may not be counted in 'One polyp'"


@pytest.mark.parametrize(
    "sentence",
    [
        "Unilateral pulmonary infection, one infected area, lower third of left lung.",
        "One infected area. Upper third of the right lung.",
        "One infected area, left upper third.",
        "One infected area in the lower left lung, one tube on the left.",
        "One infected area in the lower left lung, 10 % of left lung.",
        "One infected area. Film 2 of left side.",
        "One infected area, left lower lung. 2 ribs fractured on right.",
        "One infected area, left lower lung. Second rib on the left fractured.",
    ],
)
def test_a_number_of_another_thing_or_of_a_part_leaves_the_count(sentence: str) -> None:
    description = parse_report(sentence, CHEST)
    assert {r.factor: r.phrase for r in description.readings}["count"] == "one infected area"


@pytest.mark.parametrize(
    "other",
    [
        "another in the right upper",
        "a third on the right",
        "two right upper",
        "others on the right",
        "second in the right lung",
    ],
)
def test_a_number_without_a_noun_counts_another_lesion(other: str) -> None:
    description = parse_report(f"One infected area in the left lower lung, {other}.", CHEST)
    assert {r.factor: r.phrase for r in description.readings}["count"] is None
