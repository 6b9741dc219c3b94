"""Mask scores of a network on the grid of an image, in numpy: the arithmetic of torch's bilinear resize."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lexiseg.engines.engine import FloatArray

Float = TypeVar("Float", bound=np.floating)


def resize_scores(logits: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Resize scores as `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` does.

    Args:
        logits: `(B, C, h, w)` float32.
        size: Rows and columns wanted.

    Returns:
        `(B, C, rows, columns)` float32; the same array if it has that size already.
    """
    if logits.shape[-2:] == size:
        return logits
    (top, bottom, down), (left, right, across) = (
        _neighbours(have, want) for have, want in zip(logits.shape[-2:], size, strict=True)
    )
    # Along the rows first: there are fewer of them than of the wanted grid where the mask grows.
    narrow = _between(logits[..., left], logits[..., right], across)
    return _between(narrow[..., top, :], narrow[..., bottom, :], down[:, None])


def foreground_probability(logits: FloatArray) -> FloatArray:
    """Return probabilities of the foreground classes: a sigmoid of one score, a softmax of several.

    Args:
        logits: `(C, H, W)` float32; of several, the first belongs to the background.

    Returns:
        `(1, H, W)` or `(C - 1, H, W)` float32, 0..1.
    """
    if len(logits) == 1:
        return sigmoid(logits)
    powers = np.exp(logits - logits.max(axis=0))
    shares: FloatArray = powers[1:] / powers.sum(axis=0)
    return shares


def sigmoid(scores: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Return `1 / (1 + exp(-scores))` in the type of the scores."""
    # In place: new memory for each step would take several times as long as the arithmetic.
    small = np.abs(scores)
    np.negative(small, out=small)
    np.exp(small, out=small)  # never above 1, so that nothing overflows
    probability = np.where(scores >= 0, scores.dtype.type(1), small)
    small += 1
    probability /= small
    return probability


def _between(first: FloatArray, second: FloatArray, share: FloatArray) -> FloatArray:
    """Return the values between two, at a share of the second."""
    values: FloatArray = first * (np.float32(1) - share) + second * share
    return values


def _neighbours(have: int, want: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """Return, per wanted position, the two old positions beside it and the share of the second, float32."""
    scale = np.float64(np.float32(have) / np.float32(want))
    # Rounded once, as torch's fused multiply-add does.
    place = np.maximum(scale * (np.arange(want) + 0.5) - 0.5, 0).astype(np.float32)
    first = np.minimum(place.astype(np.intp), have - 1)
    share = np.clip(place - first.astype(np.float32), 0, 1, dtype=np.float32)
    return first, np.minimum(first + 1, have - 1), share
