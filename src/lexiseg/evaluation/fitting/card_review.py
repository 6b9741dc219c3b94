"""The paragraph of a model card about the review flag, after a calibration."""

from __future__ import annotations

import re

from lexiseg.files import write_text
from lexiseg.inference.reliability.calibration import CALIBRATION_FILE, Calibration, CalibrationFile
from lexiseg.runs.manifest import CARD_FILE
from lexiseg.runs.run import Run

#: How the line begins that the training writes, and that an earlier calibration wrote.
_REVIEW_LINE = re.compile(
    r"^- (No validation case is flagged for review|Predictions with an agreement below "
    r"|Review: (plain|flip-averaged) predictions with an expected Dice ).*$",
    re.MULTILINE,
)


def update_card(run: Run, fitted: CalibrationFile) -> None:
    """Say in the model card of a run which predictions are flagged; a card of other wording stays.

    Args:
        run: The run.
        fitted: Its calibrations, which it need not hold yet.

    Raises:
        DiskError: The card cannot be written.
    """
    card = run.path / CARD_FILE
    if not card.is_file():
        return
    found = {"plain": fitted.plain, "flip-averaged": fitted.flip_average}
    said = " ".join(_sentence(name, one) for name, one in found.items() if one is not None)
    line = f"- Review: {said} See {CALIBRATION_FILE}."
    try:
        text = card.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a person wrote it anew
    updated = _REVIEW_LINE.sub(lambda _: line, text, count=1)
    if updated != text:
        write_text(card, updated)


def _sentence(name: str, fitted: Calibration) -> str:
    review = fitted.review
    begins = f"{name} predictions with an expected Dice below {review.below:.2f} are flagged"
    if review.dice_flagged is None or review.dice_rest is None:
        return f"{begins}; none of the validation cases is."
    return (
        f"{begins}: {100 * review.flagged:.1f} % of the validation cases, mean Dice "
        f"{review.dice_flagged:.3f} against {review.dice_rest:.3f} for the rest."
    )
