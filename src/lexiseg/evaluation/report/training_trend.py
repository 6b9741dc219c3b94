"""Curves of a training, from the rows of `history.csv`, and whether they rise or fall at their end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lexiseg.printable import counted

#: A curve still rises if the best validation Dice of its last quarter is higher by more than this.
STILL_RISING = 0.01
#: Fewer validations say nothing of the end of a curve.
FEWEST_VALIDATIONS = 4

#: Step and value of each validation, in order.
Curve = Sequence[tuple[float, float]]


def curve_of(history: Sequence[Mapping[str, str]], column: str) -> list[tuple[float, float]]:
    """Return step and value of the rows that hold finite ones, in the order of the rows.

    Args:
        history: Rows of a `history.csv`.
        column: Name of the column with the values.
    """
    pairs = [(row.get("step"), row.get(column)) for row in history]
    points = [(float(step), float(value)) for step, value in pairs if step and value]
    return [point for point in points if all(map(math.isfinite, point))]


def rise_at_end(curve: Curve) -> float | None:
    """Return by how much the best value of the last quarter of the steps exceeds the best one before.

    Args:
        curve: Step and value of each validation, in order.

    Returns:
        The rise, negative if there is none; None if there are too few validations to say.
    """
    if len(curve) < FEWEST_VALIDATIONS:
        return None
    end = 0.75 * curve[-1][0]
    before = [value for step, value in curve if step <= end]
    after = [value for step, value in curve if step > end]
    return max(after) - max(before) if before and after else None


def end_of(dice: Curve) -> str:
    """Return a sentence that says whether the validation Dice rises, stays or falls at the end.

    Args:
        dice: Step and validation Dice of each validation, in order; at least one.
    """
    rise = rise_at_end(dice)
    if rise is None:
        number = counted(len(dice), "validation is", "validations are")
        return f"{number} too few to say whether the Dice still rises at the end."
    compared = (
        f"its best value in the last quarter of the steps is {abs(rise):.3f} "
        f"{'higher' if rise > 0 else 'lower'} than the best value before"
    )
    if rise > STILL_RISING:
        return f"The Dice still rises at the end: {compared}. A longer training may give better masks."
    if rise < -STILL_RISING:
        return f"The Dice falls at the end: {compared}."
    if abs(rise) < 0.0005:  # shown as 0.000
        compared = "its best value in the last quarter of the steps is the same as the best value before"
    return f"The Dice hardly changes at the end: {compared}."
