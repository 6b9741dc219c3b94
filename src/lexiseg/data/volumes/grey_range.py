"""From the values of a volume to grey values: one range for all slices, so that a tissue keeps its grey."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.view import View
from lexiseg.data.decoding.stored_pixels import CLIP_PERCENT

#: Slices, and values of each, that the range of a volume is computed from.
SAMPLED_SLICES = 32
_SAMPLED_VALUES = 2**16

_OWN_RANGE = (
    "The volume states no window; grey values are scaled between the 0.5th and 99.5th percentile of the "
    "whole volume. The option 'window' (centre and width) chooses a window."
)
_NO_BODY_PART = "The volume states no body part, so the window body-part has no effect on it."


@dataclass(frozen=True, kw_only=True)
class GreyRange:
    """Which values become black and white.

    Attributes:
        low: Values up to it become black; NaN for values that are 0 to 255 already.
        high: Values from it on become white.
        shown: Both in words.
        assumptions: What was assumed, one sentence each.
    """

    low: float
    high: float
    shown: str
    assumptions: tuple[str, ...] = ()

    def grey(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return values of any shape as 0 to 255; values that are no number become black."""
        if np.isnan(self.low):
            return np.ascontiguousarray(values, dtype=np.uint8)
        if self.high <= self.low:
            return np.zeros(values.shape, np.uint8)
        share = (values.astype(np.float64) - self.low) / (self.high - self.low)
        grey = np.rint(np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * 255)
        return np.ascontiguousarray(grey, dtype=np.uint8)


#: The range of values that are 0 to 255 already.
AS_STORED_BYTES = GreyRange(low=float("nan"), high=float("nan"), shown="values 0 to 255 as stored")


def chosen_range(view: View) -> GreyRange | None:
    """Return the range of the window that the user chose; None without one."""
    window = view.window
    if window is None:
        return None
    # The function LINEAR of DICOM, PS3.3 C.11.2.1.2.1.
    low = window.center - 0.5 - (window.width - 1) / 2
    return GreyRange(
        low=low,
        high=low + max(window.width - 1, 1e-9),
        shown=f"window {window.center:g}, {window.width:g}, chosen",
    )


def own_range(slices: Iterable[npt.NDArray[Any]], view: View) -> GreyRange:
    """Return the range between the 0.5th and 99.5th percentile of sampled slices.

    Args:
        slices: Slices that are spread evenly over the volume, any number type.
        view: What the user chose.
    """
    parts = []
    for values in slices:
        flat = values.ravel()
        flat = flat[:: max(1, flat.size // _SAMPLED_VALUES)].astype(np.float64)
        parts.append(flat[np.isfinite(flat)])
    sample = np.concatenate(parts) if parts else np.zeros(0)
    low = high = 0.0
    if sample.size:
        low, high = (float(value) for value in np.percentile(sample, (CLIP_PERCENT, 100 - CLIP_PERCENT)))
        if high <= low:
            low, high = float(sample.min()), float(sample.max())
    notes = (_OWN_RANGE, _NO_BODY_PART) if view.by_body_part else (_OWN_RANGE,)
    return GreyRange(low=low, high=high, shown=f"range {low:g} to {high:g} of the volume", assumptions=notes)


def spread(count: int) -> list[int]:
    """Return the numbers of at most `SAMPLED_SLICES` slices of a volume, evenly spread, from 0."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, SAMPLED_SLICES))})
