"""Normalisation of the pictures that a network sees, the same in training and in prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def normalise(
    images: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> npt.NDArray[np.float32]:
    """Return `(B, 3, S, S)` float32: pixels scaled to 0..1, then `(x - mean) / std` per channel.

    `lexiseg.training.steps.normalisation` does the same to tensors.

    Args:
        images: `(S, S, 3)` uint8 each.
        mean: Mean per channel.
        std: Standard deviation per channel.
    """
    scale = np.array([1 / (255 * s) for s in std], dtype=np.float32)
    shift = np.array([m / s for m, s in zip(mean, std, strict=True)], dtype=np.float32)
    found = np.empty((len(images), 3, *images[0].shape[:2]), dtype=np.float32)
    # Channel by channel and in place: long rows of numbers, which the processor takes many at a time.
    for image, planes in zip(images, found, strict=True):
        planes[...] = image.transpose(2, 0, 1)
        for plane, factor, offset in zip(planes, scale, shift, strict=True):
            plane *= factor
            plane -= offset
    return found
