"""Pseudo labels: the soft masks of images without mask, as pictures that belong to the training images.

Shape legend: K foreground classes, S side of the training images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexiseg.data.sample import Sample
from lexiseg.training.inputs.sample_cache import Pixels
from lexiseg.training.soft_masks import StoredMasks, most_probable, resized_channels

#: Their file in the run folder.
PSEUDO_LABELS_FILE = "pseudo_labels.safetensors"


class SoftMasks:
    """The pseudo labels as pictures that belong to the training images; images with a mask have an empty one.

    Args:
        labels: The pseudo labels.
        samples: The training samples.
        size: Side S of the training images.
    """

    def __init__(self, labels: StoredMasks, samples: Sequence[Sample], *, size: int) -> None:
        rows = {name: row for row, name in enumerate(labels.ids)}
        self._rows = [rows.get(sample.id) if sample.mask is None else None for sample in samples]
        self._labels = labels
        self._size = size

    def picture(self, position: int) -> Pixels:
        """Return the probabilities of a sample, `(S, S, K)` uint8."""
        row = self._rows[position]
        stored = self._labels.probability
        if row is None:
            return np.zeros((self._size, self._size, stored.shape[1]), np.uint8)
        return resized_channels(stored[row], self._size)

    def labels(self, position: int) -> Pixels:
        """Return the most probable class of each pixel, `(S, S)` uint8."""
        return most_probable(self.picture(position))

    def weight(self, position: int) -> float:
        """Return how far a sample counts, 0..1."""
        row = self._rows[position]
        return 1.0 if row is None else float(self._labels.weight[row])
