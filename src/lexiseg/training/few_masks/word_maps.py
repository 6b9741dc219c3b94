"""Word maps of training images: their words drawn as pictures, which labellers take beside the image."""

from __future__ import annotations

import numpy as np

from lexiseg.training.inputs.examples import Words
from lexiseg.training.inputs.sample_cache import Pixels
from lexiseg.words.zone_atlas import ZoneAtlas


class WordMaps:
    """The word map of each training image.

    Args:
        atlas: The atlas that they are drawn from.
        words: What is said about the images.
        size: Side S of the training images.
    """

    def __init__(self, atlas: ZoneAtlas, words: Words, *, size: int) -> None:
        self._atlas = atlas
        self._words = words
        self._size = size

    def picture(self, position: int) -> Pixels:
        """Return the word map of a sample, `(S, S, 3)` uint8: 0..1 times 255."""
        size = (self._size, self._size)
        drawn = self._atlas.word_map(self._words.indices[position], size, side=self._words.side)
        return np.ascontiguousarray(np.rint(255 * drawn).astype(np.uint8).transpose(1, 2, 0))
