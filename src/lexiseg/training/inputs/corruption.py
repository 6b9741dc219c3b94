"""Corruption of training images that leaves masks as they are: noise, and a rectangle that is cut out.

Images are (H, W, C) uint8 with one or three channels. A corruption whose probability is 0 draws nothing from
the generator, so the other random changes stay the same.
"""

from __future__ import annotations

import numpy as np

from lexiseg.data.grey import Pixels
from lexiseg.systems.configuration import AugmentConfig


def add_noise(image: Pixels, rng: np.random.Generator, augment: AugmentConfig) -> Pixels:
    """Add Gaussian noise, independent per pixel and channel, or none.

    Args:
        image: `(H, W, C)` pixels.
        rng: Source of the decision, the standard deviation and the noise.
        augment: `noise`, and `max_noise`, the bound of the uniform standard deviation.

    Returns:
        Pixels of the same shape, rounded and clipped to 0..255.
    """
    if augment.noise == 0 or rng.random() >= augment.noise:
        return image
    deviation = 255 * augment.max_noise * rng.random()
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(image + np.float32(deviation) * noise), 0, 255).astype(np.uint8)


def cut_out(image: Pixels, rng: np.random.Generator, augment: AugmentConfig) -> Pixels:
    """Fill a rectangle with the image's mean, or none (DeVries and Taylor, arXiv 1708.04552).

    The mask stays whole: the network has to infer what is under the rectangle from what is around it.

    Args:
        image: `(H, W, C)` pixels.
        rng: Source of the decision, the size and the place.
        augment: `cutout`, and `max_cutout`, the bound of the uniform length of each side.

    Returns:
        Pixels of the same shape; the rectangle lies inside and has the rounded mean of each channel.
    """
    if augment.cutout == 0 or rng.random() >= augment.cutout:
        return image
    rows, columns = (
        _interval(length, augment.max_cutout * length * rng.random(), rng) for length in image.shape[:2]
    )
    filled = image.copy()
    filled[rows, columns] = np.rint(image.mean(axis=(0, 1)))
    return filled


def _interval(length: int, wanted: float, rng: np.random.Generator) -> slice:
    """Return a random interval of about `wanted` pixels within `length`."""
    side = round(wanted)
    first = int(rng.integers(0, length - side, endpoint=True))
    return slice(first, first + side)
