"""The curves of a training as a page shows them, with a caption that holds for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexiseg.evaluation.report import figures
from lexiseg.evaluation.report.training_trend import curve_of, end_of


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """The curves of a training as a page shows them.

    Attributes:
        picture: Validation Dice over the steps; below it the loss, if the rows hold it.
        caption: What the picture shows, and whether the Dice still rises at the end.
    """

    picture: figures.Picture
    caption: str


def training_curves(history: Sequence[Mapping[str, str]], selected_step: int | None) -> TrainingCurves | None:
    """Draw the validation Dice and the training loss over the steps of a training.

    Args:
        history: Rows of the run's `history.csv`.
        selected_step: Step whose weights the run holds; None where that is not known.

    Returns:
        The curves; None if no row holds a validation Dice.
    """
    dice, loss = curve_of(history, "val/dice"), curve_of(history, "train/total")
    if not dice:
        return None
    selected = selected_step if selected_step in {step for step, _ in dice} else None
    panels = "Above: Dice of validation images. Below: loss of training images."
    parts = [panels if loss else "Dice of validation images."]
    if selected is not None:
        parts.append(f"The dashed line marks step {selected}, whose weights the run holds.")
    return TrainingCurves(
        picture=figures.training(dice, loss, selected), caption=" ".join([*parts, end_of(dice)])
    )
