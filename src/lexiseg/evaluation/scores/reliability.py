"""Reliability of probabilities: of all pixels with the predicted probability p, a share p should be lesion.

References:
    Guo et al., *On calibration of modern neural networks*, ICML 2017 (reliability diagram, expected
    calibration error).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.evaluation.scores.metrics_file import ReliabilityBin, ReliabilityScores

#: Bins of equal width between 0 and 1.
BINS = 15


class Reliability:
    """Counts pixels by their predicted probability, image by image: memory does not grow.

    With several classes, every pixel counts once per foreground class: is it of this class or not?
    """

    def __init__(self) -> None:
        self._pixels = np.zeros(BINS, dtype=np.int64)
        self._probability = np.zeros(BINS)
        self._lesion = np.zeros(BINS, dtype=np.int64)

    def add(self, probability: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> None:
        """Count the pixels of one image.

        Args:
            probability: Per foreground class, `(C, ...)` in 0..1.
            truth: Labels `(...)`, 0 is background and label c belongs to `probability[c - 1]`.
        """
        for label, values in enumerate(probability, start=1):
            given = values.ravel()
            hits = (truth == label).ravel()
            bins = np.minimum((given * BINS).astype(np.int64), BINS - 1)
            self._pixels += np.bincount(bins, minlength=BINS)
            self._probability += np.bincount(bins, weights=given, minlength=BINS)
            self._lesion += np.bincount(bins[hits], minlength=BINS)

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1: mean of |given probability - share of lesion|, by pixels."""
        gaps = np.abs(self._probability - self._lesion)  # per bin, times its pixels
        return float(gaps.sum() / max(1, self._pixels.sum()))

    def scores(self) -> ReliabilityScores:
        """Return the calibration error, and per bin its pixels, mean probability and share of lesion."""
        bins = tuple(
            ReliabilityBin(
                range=(position / BINS, (position + 1) / BINS),
                pixels=int(pixels),
                probability=float(given / pixels) if pixels else None,
                lesion=float(lesion / pixels) if pixels else None,
            )
            for position, (pixels, given, lesion) in enumerate(
                zip(self._pixels, self._probability, self._lesion, strict=True)
            )
        )
        return ReliabilityScores(ece=self.ece, pixels=int(self._pixels.sum()), bins=bins)
