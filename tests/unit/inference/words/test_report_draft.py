"""The draft of a report sentence: what is uncertain is marked, and it is never for diagnosis."""

from __future__ import annotations

import pytest

from lexiseg.inference.result import RetrievedWord
from lexiseg.inference.words.report_draft import report_draft
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
#: Nothing is said of the right lung.
TRUE = {
    "laterality": "unilateral pulmonary infection",
    "count": "multiple infected areas",
    "left": "upper left lung",
}
END = "Research use only. Not for diagnosis."


def word(factor: str, phrase: str, confidence: float = 0.9) -> RetrievedWord:
    found = CHEST.factor(factor)
    return RetrievedWord(
        factor=factor, title=found.title, index=found.phrases.index(phrase), phrase=phrase,
        confidence=confidence, runners_up=(), probabilities=(),
    )  # fmt: skip


def indices(**phrases: str) -> list[int]:
    known = {name: CHEST.factor(name).phrases.index(phrase) for name, phrase in phrases.items()}
    return [known.get(name, UNKNOWN) for name in CHEST.names]


def test_certain_words_are_the_sentence_of_the_vocabulary() -> None:
    words = [word(factor, phrase) for factor, phrase in TRUE.items()]
    expected = f"{CHEST.sentence_for(indices(**TRUE))} {END}"
    assert report_draft(words, None, CHEST) == expected
    assert report_draft(words, indices(**TRUE), CHEST) == expected
    assert expected.startswith("Unilateral pulmonary infection, multiple infected areas, upper left lung.")


@pytest.mark.parametrize(
    ("confidence", "measured", "marked"),
    [
        (0.49, "multiple infected areas", True),
        (0.5, "multiple infected areas", False),
        (0.9, "one infected area", True),
        (0.9, None, False),
    ],
)
def test_what_is_uncertain_is_marked(confidence: float, measured: str | None, marked: bool) -> None:
    sure = {**dict.fromkeys(TRUE, 0.9), "count": confidence}
    words = [word(factor, phrase, sure[factor]) for factor, phrase in TRUE.items()]
    seen = {name: phrase for name, phrase in {**TRUE, "count": measured}.items() if phrase is not None}
    draft = report_draft(words, indices(**seen), CHEST)
    assert ("infection, [multiple infected areas?], upper" in draft) == marked
    assert ("Parts in [...?] are uncertain" in draft) == marked
    assert draft.endswith(END)


def test_a_marked_beginning_has_a_capital_letter() -> None:
    draft = report_draft([word("laterality", TRUE["laterality"], 0.3)], None, CHEST)
    assert draft.startswith("[Unilateral pulmonary infection?]. Parts in")


def test_without_words_there_is_no_draft() -> None:
    assert report_draft([], None, CHEST) == ""
