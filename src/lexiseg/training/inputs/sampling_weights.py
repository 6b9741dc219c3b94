"""How often each training image is drawn: more often from wanted sources, and with rare words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lexiseg.data.sample import Sample
from lexiseg.errors import UsageError
from lexiseg.words.description import UNKNOWN


def draw_weights(
    samples: Sequence[Sample],
    indices: Sequence[Sequence[int]] | None,
    *,
    source_weights: Mapping[str, float],
    balance_words: float,
) -> npt.NDArray[np.float64] | None:
    """Return how often each sample is drawn, relative to the others; None if each comes equally often.

    Args:
        samples: The training samples.
        indices: Their phrases, `(samples, factors)`; None without text.
        source_weights: Weight per source; sources not named weigh 1.
        balance_words: Exponent p: a sample weighs the mean over its known factors of frequency ** -p.

    Raises:
        UsageError: A source has no image, or words are to be balanced where there are none.
    """
    if not source_weights and balance_words == 0:
        return None
    sources = [sample.source for sample in samples]
    for name in source_weights.keys() - set(sources):
        known = (
            ", ".join(sorted({source for source in sources if source})) or "none could be told from the names"
        )
        raise UsageError(
            f"source_weights names '{name}', but the training images' sources are: {known}.",
            code="LEX-USE-066",
        )
    weights = np.array([source_weights.get(source or "", 1.0) for source in sources])
    if balance_words > 0:
        if indices is None:
            raise UsageError(
                "balance_words needs words, but this training has none (--text none).", code="LEX-USE-067"
            )
        weights *= _rarity(np.asarray(indices), balance_words)
    return weights


def _rarity(indices: npt.NDArray[np.int64], power: float) -> npt.NDArray[np.float64]:
    """Return the mean of frequency ** -power over each sample's known factors; 1 where none is known."""
    known = indices != UNKNOWN  # (samples, factors)
    rarity = np.zeros(indices.shape)
    for factor, column in enumerate(indices.T):
        counts = np.bincount(column[known[:, factor]], minlength=1)
        frequency = counts / max(1, counts.sum())
        rarity[known[:, factor], factor] = frequency[column[known[:, factor]]] ** -power
    total = known.sum(axis=1)
    return np.where(total > 0, rarity.sum(axis=1) / np.maximum(total, 1), 1.0)
