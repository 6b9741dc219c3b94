"""What of an exported model lies outside the limits, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest

from lexiseg.deployment.parity import EXACT, ROUNDED, ParityReport


def report(**values: Any) -> ParityReport:
    kept: dict[str, Any] = {
        "engine": "onnx", "reference": "torch", "images": 8, "drawn": True, "limits": EXACT, "logits": 0.1,
        "dice": 1.0, "least_dice": 1.0, "words": 1.0, "flags": 1.0, "expected_dice": 0.0,
        "images_per_second": 2.0, "reference_images_per_second": 1.0,
    }  # fmt: skip
    return ParityReport(**(kept | values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"dice": 0.99985}, "mean Dice of the masks 0.99985, at least 0.9999"),
        ({"words": 59 / 60}, "equal words 98.33 %, at least 99.9 %"),
        ({"words": 0.99896}, "equal words 99.89 %, at least 99.9 %"),
        ({"flags": 0.5}, "equal flags 50 %, at least 99.9 %"),
        ({"expected_dice": 0.0123456}, "mean difference of the expected Dice 0.01235, at most 0.0005"),
    ],
)
def test_each_limit_is_said(values: dict[str, float], said: str) -> None:
    assert report(**values).outside == (said,)


def test_what_is_missing_is_within_the_limits() -> None:
    assert report(words=None, expected_dice=None).outside == ()
    rounded = report(limits=ROUNDED, dice=0.999, words=0.99, flags=0.99, expected_dice=0.002)
    assert rounded.outside == ()
    assert len(report(limits=ROUNDED, dice=0.9, words=0.9, flags=0.9, expected_dice=0.1).outside) == 4
