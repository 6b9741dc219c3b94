"""Smoothing between slices: each probability becomes the mean with those of the neighbouring slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lexiseg.inference.result import Prediction

#: Weight of a slice; each neighbour has the weight 1.
_OWN_WEIGHT = 2


def smoothed_labels(predictions: Iterable[Prediction]) -> Iterator[tuple[Prediction, npt.NDArray[np.uint8]]]:
    """Yield each prediction with its labels after smoothing; three slices are kept at a time.

    The probability of a pixel becomes (before + 2 own + after) / 4, at both ends (2 own + neighbour) / 3. The
    label is the most probable class.

    Args:
        predictions: Of neighbouring slices in order, all of the same size.

    Yields:
        Each prediction, and `(H, W)` labels.
    """
    before: Prediction | None = None
    own: Prediction | None = None
    for after in predictions:
        if own is not None:
            yield own, _labels(before, own, after)
        before, own = own, after
    if own is not None:
        yield own, _labels(before, own, None)


def most_probable(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return the most probable label of each pixel, `(H, W)`; the background wins where it is equal.

    Args:
        probability: Of the foreground classes, `(C, H, W)`, 0..1; the rest up to 1 is that of the background.
    """
    background = 1 - probability.sum(axis=0, keepdims=True)
    return np.asarray(np.concatenate([background, probability]).argmax(axis=0), dtype=np.uint8)


def _labels(before: Prediction | None, own: Prediction, after: Prediction | None) -> npt.NDArray[np.uint8]:
    neighbours = [other.probability for other in (before, after) if other is not None]
    total = _OWN_WEIGHT * own.probability.astype(np.float64)
    for probability in neighbours:
        total = total + probability
    return most_probable(total / (_OWN_WEIGHT + len(neighbours)))
