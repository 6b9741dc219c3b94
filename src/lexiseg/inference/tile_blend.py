"""The mask scores of an image from those of its tiles, which overlap."""

from __future__ import annotations

import numpy as np

from lexiseg.data.image_fit import Placement
from lexiseg.engines.engine import FloatArray


class TileBlend:
    """The weighted mean of the scores of all tiles at each pixel.

    The weight of a tile is highest in its middle and falls towards its borders, where a network sees least of
    the surroundings: a Hann window along each axis, above 0 everywhere. The sum is divided by the sum of the
    weights, so tiles that agree at a pixel keep their score there, and a constant stays a constant.

    Args:
        size: Height and width (H, W) of the image.
        side: Height and width S of a tile.
    """

    def __init__(self, size: tuple[int, int], side: int) -> None:
        rising = np.hanning(side + 2)[1:-1]
        self._window = np.outer(rising, rising)  # (S, S)
        self._weight = np.zeros(size)
        self._total: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None

    def add(self, tile: Placement, scores: FloatArray) -> None:
        """Add a tile with its scores `(C, S, S)`."""
        if self._total is None:
            self._total = np.zeros((len(scores), *self._weight.shape))
        weight = self._window[tile.inner.place]
        self._total[(slice(None), *tile.part.place)] += weight * tile.inner_of(scores)
        self._weight[tile.part.place] += weight

    def scores(self) -> FloatArray:
        """Return the scores `(C, H, W)` float32 of the image, which the tiles cover."""
        assert self._total is not None
        return np.asarray(self._total / self._weight, dtype=np.float32)
