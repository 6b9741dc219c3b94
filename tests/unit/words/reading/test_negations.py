"""What negations deny, and where: expected results are written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
GERMAN = load_vocabulary(Path(__file__).parent / "chest_de.yaml")
LEFT, RIGHT = "no lesion in left lung", "no lesion in right lung"


@pytest.mark.parametrize(
    "what",
    [
        "infection", "infection area", "infection areas", "infection region", "infection zone",
        "infection focus", "infection foci", "infection lesion", "lesion area", "opacity area",
        "consolidation area", "pneumonia area", "pneumonia region", "infected area",
        "area of infection", "infection areas or lesions",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "sentence",
    [
        "No {} in the right lung", "no {} in right lung.", "There is no {} in the right lung",
        "No {} is seen in the right lung", "No {} detected in the right lung", "The right lung shows no {}",
        "Right lung: no {}", "Right lung without {}", "Without any sign of {} in the right lung",
        "No evidence of {} in the right lung", "Absence of {} in the right lung", "Right lung devoid of {}",
        "Right lung free of {}", "Right lung is clear of any {}",
        "No {} in the lung on the right", "No {} in the lobes of the right lung",
    ],
)  # fmt: skip
def test_a_denied_lesion_in_one_lung(sentence: str, what: str) -> None:
    phrases = parse_report(sentence.format(what), CHEST).phrases
    assert (phrases["left"], phrases["right"]) == (None, RIGHT)


@pytest.mark.parametrize(
    ("sentence", "left", "right"),
    [
        ("Infection is not seen in the right lung", None, RIGHT),
        ("An infection area is not seen in the right lung", None, RIGHT),
        ("Infection area not detected in the left lung", LEFT, None),
        ("No infection area", LEFT, RIGHT),
        ("No infection area in both lungs", LEFT, RIGHT),
        ("No infection area in right lung and left lung", LEFT, RIGHT),
        (
            "No infection area in the right lung, infection area in the lower left lung",
            "lower left lung",
            RIGHT,
        ),
        ("No infection area in the right lung but lower left lung infected", "lower left lung", RIGHT),
        ("No infection in the lung on the right, lower left lung infected", "lower left lung", RIGHT),
        ("Infection zone in the lower right lung", None, "lower right lung"),
        ("Clear lungs on the left", LEFT, None),
        ("No infection in the lobes of both lungs", LEFT, RIGHT),
    ],
)
def test_where_a_negation_holds(sentence: str, left: str | None, right: str | None) -> None:
    phrases = parse_report(sentence, CHEST).phrases
    assert (phrases["left"], phrases["right"]) == (left, right)


@pytest.mark.parametrize(
    "sentence",
    [
        # Other signs between two words may part two statements.
        "No lesion: area in the right lung",
        "No lesion (area in the right lung)",
        "No lesions area in the right lung",
        "No lesion, area in the right lung",
        "No lesion opacity in the right lung",
        "No infection area opacity in the right lung",
        "No infection area in the lower right lung",
        "Clear lungs left lower opacity",
        "Right lung free of large lesions",
        "Right lung clear of significant infection",
        "In the absence of infection, lesion in lower right lung",
    ],
)
def test_what_is_denied_stays_open(sentence: str) -> None:
    phrases = parse_report(sentence, CHEST).phrases
    assert (phrases["left"], phrases["right"]) == (None, None)


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("Kein Infektionsherd in der rechten Lunge", "kein Herd rechts"),
        ("Keine Verschattung in der Lunge rechts", "kein Herd rechts"),
    ],
)
def test_german_negations(sentence: str, right: str) -> None:
    phrases = parse_report(sentence, GERMAN).phrases
    assert (phrases["links"], phrases["rechts"]) == (None, right)
