"""Signs that a mask or a report of a data set is wrong, from what a run that did not learn from it predicts.

Four kinds of errors have a sign each; a larger value is more suspicious:

- missing lesion: the run expects lesion outside the mask, most of all a whole lesion that the mask lacks;
- invented lesion: the run expects no lesion inside the mask;
- other report: the run gives the phrases of the report low probabilities;
- swapped sides: the run gives the mirrored phrases higher probabilities than the phrases of the report.

Where a report was read, its phrases are also compared with those measured on the mask; a difference adds to
each sign. The weights were chosen on validation images of one data set (`benchmarks/wrong_data.py`).

Shape legend: H, W image, N_f phrases of factor f.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import Vocabulary

Kind = Literal["missing lesion", "invented lesion", "other report", "swapped sides"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Signs = Mapping[Kind, float]
Mask = npt.NDArray[np.bool_]
Indices = Sequence[int]

# Added to the signs per factor in which report and mask differ: of the two masks' kinds, of the report.
_MASK_DIFFERENCE = 0.3
_REPORT_DIFFERENCE = 2.0
# What a whole lesion that is missing (or invented) adds, per unit of the logarithm of its area.
_WHOLE_LESION = 0.03
# Areas are counted as on a grid of 224 x 224 pixels, so that images of all sizes compare.
_GRID_PIXELS = 224 * 224
# A lesion is missing as a whole if less than this share of it is covered.
_COVERED = 0.2
# The least probability of a phrase: below it, smaller is not more suspicious.
_LEAST = 1e-4
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a run predicts for one image.

    Attributes:
        probability: Probability of lesion, any class, `(H, W)`, 0..1.
        words: Probabilities of all phrases per factor, `(N_f,)` each; empty for a run that names no words.
    """

    probability: npt.NDArray[np.floating]
    words: tuple[npt.NDArray[np.floating], ...] = ()


def mask_signs(given: Mask, probability: npt.NDArray[np.floating], *, differences: int = 0) -> Signs:
    """Return the signs of a wrong mask.

    Args:
        given: The mask, any class, `(H, W)`.
        probability: Probability of lesion, `(H, W)`.
        differences: Factors in which the report differs from what is measured on the mask.
    """
    expected = probability > 0.5
    one_pixel = given.size / _GRID_PIXELS
    # Pixels that the run does not expect do not count: in an image without a lesion and with an empty mask,
    # their small probabilities are all outside the mask.
    total = float(probability[given | expected].sum(dtype=np.float64)) + one_pixel
    outside = float(probability[expected & ~given].sum(dtype=np.float64)) / total
    inside = float((1 - probability[given]).sum(dtype=np.float64)) / (float(given.sum()) + one_pixel)
    added = _MASK_DIFFERENCE * differences
    return {
        "missing lesion": outside + _WHOLE_LESION * _log_area(expected, given) + added,
        "invented lesion": inside + _WHOLE_LESION * _log_area(given, expected) + added,
    }


def report_signs(
    told: Indices,
    words: Sequence[npt.NDArray[np.floating]],
    vocabulary: Vocabulary,
    *,
    measured: Indices | None = None,
) -> Signs:
    """Return the signs of a wrong report; "swapped sides" only where its mirrored phrases differ.

    Args:
        told: Phrases of the report, one index per factor, `UNKNOWN` allowed.
        words: Probabilities of all phrases per factor.
        vocabulary: The vocabulary.
        measured: Phrases measured on the mask; None without a mask.
    """
    mirrored = flip(vocabulary, told, "horizontal")
    signs: dict[Kind, float] = {
        "other report": _REPORT_DIFFERENCE * count_differences(told, measured) - _fit(told, words)
    }
    if tuple(told) != mirrored and UNKNOWN not in (m for t, m in zip(told, mirrored, strict=True) if t != m):
        gain = _fit(mirrored, words) - _fit(told, words)
        kept = count_differences(told, measured) - count_differences(mirrored, measured)
        signs["swapped sides"] = gain + kept
    return signs


def count_differences(told: Indices, measured: Indices | None) -> int:
    """Return the number of factors in which two descriptions differ, among those that both know."""
    if measured is None:
        return 0
    return sum(a != b for a, b in zip(told, measured, strict=True) if UNKNOWN not in (a, b))


def standardise(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return how far values are above their median: 1 is the value that a tenth of the cases exceed.

    So signs of different kinds can be compared, and a few wrong cases do not change the scale. Where a tenth
    of the cases is at the median, the standard deviation is the scale.

    Args:
        values: A sign of all cases, `(N,)`; NaN where a case has none, which stays NaN.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return values.astype(np.float64)
    middle = np.median(known)
    spread = (np.quantile(known, 0.9) - middle) or known.std() or 1.0
    standard: npt.NDArray[np.float64] = (values.astype(np.float64) - middle) / spread
    return standard


def _fit(told: Indices, words: Sequence[npt.NDArray[np.floating]]) -> float:
    """Return the sum of the logarithms of the probabilities of phrases; unknown ones count 0."""
    return sum(
        math.log(max(float(probability[index]), _LEAST))
        for index, probability in zip(told, words, strict=True)
        if index != UNKNOWN
    )


def _log_area(lesions: Mask, covering: Mask) -> float:
    """Return the logarithm of 1 + the area of the largest lesion that is not covered, in grid pixels."""
    components, count = label(lesions, structure=_EIGHT_NEIGHBOURS)
    if not count:
        return 0.0
    area = np.bincount(components.ravel(), minlength=count + 1)[1:]
    covered = np.bincount(components[covering], minlength=count + 1)[1:]
    missing = area[covered < _COVERED * area]
    return math.log1p(float(missing.max()) * _GRID_PIXELS / lesions.size) if len(missing) else 0.0
