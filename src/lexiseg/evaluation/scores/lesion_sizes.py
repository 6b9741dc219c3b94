"""The lesion sizes of a training split, and mean scores that are standardised by them.

A validation split may hold more small lesions than the training split, and small lesions score lower. A
standardised mean weighs small, medium and large lesions as in the training split (direct standardisation), so
that it says how a network does on images like those it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexiseg.evaluation.scores.cases import SIZE_GROUPS
from lexiseg.evaluation.scores.statistics import size_groups, size_terciles

#: Name of the standardised mean in `history.csv` (after "val/") and in `run.json`.
STANDARDISED_DICE = "dice_size_standardised"

Shares = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LesionSizes:
    """How large the lesions of a training split are.

    Attributes:
        images: Number of images that were counted.
        cuts: Shares of the image, 0..1, at which small lesions end and large ones begin: the terciles of the
            images with a lesion. A lesion of exactly that size is in the lower group.
        weights: Share of the images in each of `SIZE_GROUPS`; their sum is 1.
    """

    images: int
    cuts: tuple[float, float]
    weights: tuple[float, float, float, float]

    @classmethod
    def of(cls, shares: Shares) -> LesionSizes:
        """Return the sizes of some images.

        Args:
            shares: Share of each image that is lesion, 0..1.

        Raises:
            UsageError: No image has a lesion.
        """
        cuts = size_terciles(np.asarray(shares, dtype=np.float64))
        counts = np.bincount(size_groups(shares, cuts), minlength=len(SIZE_GROUPS))
        none, small, medium, large = (float(count) / len(shares) for count in counts)
        return cls(images=len(shares), cuts=cuts, weights=(none, small, medium, large))

    def standardised(self, scores: Shares, shares: Shares) -> float:
        """Return the mean score of some cases after each size group weighs as in the training split.

        Args:
            scores: Score of each case.
            shares: Share of its image that is lesion, 0..1.

        Returns:
            The mean of the groups' means, weighed. Groups without a case are left out, and the others weigh
            more in proportion; where all groups with a case have no weight, the mean of all cases.
        """
        values, groups = np.asarray(scores, dtype=np.float64), size_groups(shares, self.cuts)
        weights = np.array(self.weights)[groups] / np.bincount(groups, minlength=len(SIZE_GROUPS))[groups]
        total = weights.sum()
        return float(values.mean() if total == 0 else (weights * values).sum() / total)

    def absent(self, shares: Shares) -> tuple[str, ...]:
        """Return the size groups that have weight, but none of some cases."""
        there = set(size_groups(shares, self.cuts).tolist())
        pairs = zip(SIZE_GROUPS, self.weights, strict=True)
        return tuple(name for number, (name, weight) in enumerate(pairs) if weight and number not in there)
