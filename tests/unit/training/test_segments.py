"""The number of steps between two validations."""

from __future__ import annotations

import pytest

from lexiseg.training.loop import segment_steps


@pytest.mark.parametrize(
    ("steps_per_pass", "total", "steps"),
    [
        (357, 4000, 250),
        (357, None, 250),
        (357, 250, 62),  # four whole segments
        (357, 999, 249),
        (357, 60, 25),
        (40, 4000, 40),
        (3, 4000, 25),
    ],
)
def test_a_segment_is_a_pass_or_a_quarter_of_the_steps(
    steps_per_pass: int, total: int | None, steps: int
) -> None:
    assert segment_steps(steps_per_pass, total) == steps


def test_gradients_are_added_up_within_a_segment() -> None:
    assert segment_steps(357, 4000, accumulate=16) == 256
    assert segment_steps(357, 250, accumulate=16) == 64
