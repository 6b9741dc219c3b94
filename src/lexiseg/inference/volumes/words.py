"""The words of a volume: those of its slices, averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexiseg.inference.result import RetrievedWord
from lexiseg.inference.retrieved_words import retrieved_words
from lexiseg.words.vocabulary import Vocabulary


class VolumeWords:
    """The mean of the phrase probabilities of slices.

    Slices with a lesion count in proportion to its area; if no slice has one, all slices count the same. So
    the words of a volume are those of a typical slice through its lesions: a count, for example, is that of a
    slice, not of the volume.

    Args:
        vocabulary: The vocabulary of the words; None for a run without words.
    """

    def __init__(self, vocabulary: Vocabulary | None) -> None:
        self._vocabulary = vocabulary
        self._all: list[np.ndarray] = []
        self._lesion: list[np.ndarray] = []
        self._area = 0
        self._count = 0

    def add(self, words: Sequence[RetrievedWord], area_px: int) -> None:
        """Add one slice.

        Args:
            words: Its words, with the probabilities of all phrases.
            area_px: Number of pixels of its lesions.
        """
        probabilities = [np.asarray(word.probabilities, np.float64) for word in words]
        if not probabilities:
            return
        if not self._all:
            self._all = [np.zeros_like(values) for values in probabilities]
            self._lesion = [np.zeros_like(values) for values in probabilities]
        for factor, values in enumerate(probabilities):
            self._all[factor] += values
            self._lesion[factor] += values * area_px
        self._area += area_px
        self._count += 1

    def words(self) -> tuple[RetrievedWord, ...]:
        """Return the best phrase of each factor of the volume; empty for a run without words."""
        if self._vocabulary is None or not self._count:
            return ()
        sums, weight = (self._lesion, self._area) if self._area else (self._all, self._count)
        return retrieved_words(self._vocabulary, [values / weight for values in sums])
