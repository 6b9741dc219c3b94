"""Grey values of masks: classes, or two classes with noise of compression, smoothing or resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lexiseg.data.mask_histograms import MaskHistogram

#: Values that hold at most this many pixels in all masks together are strays, not a class.
_STRAY_PIXELS = 8

#: The ranges of noise around 0 and around 255.
_LOW_NOISE = range(1, 16)
_HIGH_NOISE = range(240, 256)

#: What the values of masks may be.
Looks = Literal["classes", "noise", "unclear"]


def total_counts(histograms: Sequence[MaskHistogram]) -> dict[int, int]:
    """Return the number of pixels by value in all masks together."""
    totals: dict[int, int] = {}
    for histogram in histograms:
        for value, count in histogram.counts.items():
            totals[value] = totals.get(value, 0) + count
    return totals


def looks_like(histograms: Sequence[MaskHistogram]) -> Looks:
    """Return whether the values look like classes or like two classes with noise.

    A class forms a region somewhere. Values between 0 and 255 that only stand at edges come from resizing,
    compression or smoothing.
    """
    totals = total_counts(histograms)
    solid = set().union(*(histogram.solid for histogram in histograms)) - {0}
    strays = [value for value in totals if value and value not in solid]
    scarce = sum(totals[value] for value in strays) <= _STRAY_PIXELS
    if max(totals) in range(192, 256):
        if _is_scattered_at_both_ends(totals):
            return "noise"
        if strays and solid and all(value in _HIGH_NOISE for value in solid):
            between = [value for value in strays if value not in _LOW_NOISE and value not in _HIGH_NOISE]
            # One or two values at edges only may be a thin class.
            return "noise" if scarce or not between or len(strays) >= 3 else "unclear"
        if solid and len(strays) >= 3:
            return "unclear"
    if strays and solid and scarce:
        return "unclear"
    return "classes"


def _is_scattered_at_both_ends(totals: dict[int, int]) -> bool:
    """Return whether many values lie around 0 and around 255, and few between."""
    low = sum(value in _LOW_NOISE for value in totals)
    high = sum(value in _HIGH_NOISE for value in totals)
    bright = sum(count for value, count in totals.items() if value >= 64)
    between = sum(
        count
        for value, count in totals.items()
        if value and value not in _LOW_NOISE and value < _HIGH_NOISE[0]
    )
    return low >= 3 and high >= 3 and between <= 0.2 * bright
