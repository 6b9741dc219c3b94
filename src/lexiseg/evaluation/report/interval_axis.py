"""The axis of intervals that pages draw in a table: differences in Dice, symmetric about 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_WIDTH = 300.0


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The common axis of all drawn intervals: differences in Dice, symmetric about 0.

    Attributes:
        reach: Its right end; the left end is `-reach`.
    """

    reach: float

    def x(self, value: float) -> float:
        """Return a difference's place in a drawing 300 wide, kept inside it."""
        inside = min(max(value, -self.reach), self.reach)
        return round((inside / self.reach + 1) * _WIDTH / 2, 2)


def axis_to(differences: Iterable[float]) -> Axis:
    """Return an axis that holds all differences, with a round end.

    Args:
        differences: Means and ends of intervals.
    """
    longest = max([*map(abs, differences), 0.001])
    steps = [factor * 10.0**power for power in range(-3, 1) for factor in (1, 2, 3, 4, 5, 6, 8)]
    return Axis(reach=next((step for step in steps if step >= longest), 1.0))
