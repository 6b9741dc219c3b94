"""The words of a volume: those of its slices, averaged; and what its labels measure, likewise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lexiseg.inference.result import RetrievedWord
from lexiseg.inference.words.retrieved_words import retrieved_words
from lexiseg.words.description import UNKNOWN, Description
from lexiseg.words.vocabulary import Vocabulary


class VolumeWords:
    """The mean of the phrase probabilities of slices, and the most frequent measured phrases.

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
        self._measured_all: list[Counter[int]] = []
        self._measured_lesion: list[Counter[int]] = []
        self._last: Description | None = None
        self._area = 0
        self._count = 0

    def add(self, words: Sequence[RetrievedWord], measured: Description | None, area_px: int) -> None:
        """Add one slice.

        Args:
            words: Its words, with the probabilities of all phrases.
            measured: What its mask measures; None where nothing was measured.
            area_px: Number of pixels of its lesions.
        """
        probabilities = [np.asarray(word.probabilities, np.float64) for word in words]
        if not probabilities:
            return
        if not self._all:
            self._all = [np.zeros_like(values) for values in probabilities]
            self._lesion = [np.zeros_like(values) for values in probabilities]
            self._measured_all = [Counter() for _ in probabilities]
            self._measured_lesion = [Counter() for _ in probabilities]
        for factor, values in enumerate(probabilities):
            self._all[factor] += values
            self._lesion[factor] += values * area_px
        for factor, index in enumerate(() if measured is None else measured.indices):
            self._measured_all[factor][index] += 1
            self._measured_lesion[factor][index] += area_px
        self._last = measured or self._last
        self._area += area_px
        self._count += 1

    def words(self) -> tuple[RetrievedWord, ...]:
        """Return the best phrase of each factor of the volume; empty for a run without words."""
        if self._vocabulary is None or not self._count:
            return ()
        sums, weight = (self._lesion, self._area) if self._area else (self._all, self._count)
        return retrieved_words(self._vocabulary, [values / weight for values in sums])

    def measured(self) -> Description | None:
        """Return what the masks of most of the lesion measure, factor by factor; None where nothing is."""
        if self._vocabulary is None or self._last is None:
            return None
        counted = self._measured_lesion if self._area else self._measured_all
        return self._vocabulary.describe(
            [_most_frequent(counts) for counts in counted], source="concepts", side=self._last.side
        )


def _most_frequent(counts: Counter[int]) -> int:
    """Return the phrase that counts most, the first one of equal ones; UNKNOWN if none is known."""
    known = [(count, -index) for index, count in counts.items() if index != UNKNOWN and count]
    return -max(known)[1] if known else UNKNOWN
