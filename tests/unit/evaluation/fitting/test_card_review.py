"""The model card after a calibration."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lexiseg.evaluation.fitting import card_review
from lexiseg.inference.reliability.review import ReviewRule

RULE = ReviewRule(signals={}, bias=0.0, below=0.71, flagged=0.2, dice_flagged=0.5, dice_rest=0.875)
NAMES = ("plain", "flip_average")
CARD = """# phantom

- Data: phantom.
- {review}
- Method: one.
"""


def updated(folder: Path, text: str, **rules: ReviewRule) -> str:
    """Return a model card after a calibration of plain, flip-averaged, or both predictions."""
    (folder / "model_card.md").write_text(text)
    found = {name: SimpleNamespace(review=rules[name]) if name in rules else None for name in NAMES}
    card_review.update_card(SimpleNamespace(path=folder), SimpleNamespace(**found))  # type: ignore[arg-type]
    return (folder / "model_card.md").read_text()


@pytest.mark.parametrize(
    "before",
    [
        "No validation case is flagged for review; predictions with an agreement below 0.00 are.",
        "Predictions with an agreement below 0.50 are flagged: 20.0 % of the validation cases.",
    ],
)
def test_the_card_says_what_is_flagged_after_a_calibration(tmp_path: Path, before: str) -> None:
    once = updated(tmp_path, CARD.format(review=before), plain=RULE)
    said = (
        "Review: plain predictions with an expected Dice below 0.71 are flagged: 20.0 % of the validation "
        "cases, mean Dice 0.500 against 0.875 for the rest. See calibration.json."
    )
    assert once == CARD.format(review=said)
    twice = updated(tmp_path, once, plain=RULE, flip_average=RULE.model_copy(update={"below": 0.6}))
    assert twice.count("- Review: ") == 1
    assert "flip-averaged predictions with an expected Dice below 0.60" in twice
    assert "0.71" in twice


def test_a_card_of_other_wording_stays(tmp_path: Path) -> None:
    for review in ("My own words.", "Review: approved by our committee, 2026"):
        own = CARD.format(review=review)
        assert updated(tmp_path, own, plain=RULE) == own


def test_a_card_that_a_person_wrote_in_another_encoding_stays(tmp_path: Path) -> None:
    (tmp_path / "model_card.md").write_bytes("Größe".encode("cp1252"))
    none = SimpleNamespace(plain=None, flip_average=None)
    card_review.update_card(SimpleNamespace(path=tmp_path), none)  # type: ignore[arg-type]
    assert (tmp_path / "model_card.md").read_bytes() == "Größe".encode("cp1252")
