"""Grey images as three channels that share one memory.

A grey image that is copied to three channels takes three times the memory and time at every step: conversion,
resizing, means of cells. `three_channels` shows it as three channels without a copy, and `grey_of` finds it
again where a step can work on the one channel; the numbers are the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def three_channels(grey: Pixels) -> Pixels:
    """Return (H, W) uint8 as (H, W, 3): a view whose channels are one memory; it cannot be written to."""
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))


def own_pixels(image: Pixels) -> Pixels:
    """Return an image in memory of its own that can be written to; the same array if it is such a one."""
    return np.require(image, requirements=["C_CONTIGUOUS", "WRITEABLE"])


def grey_of(image: Pixels) -> Pixels | None:
    """Return the one channel (H, W) of a view that `three_channels` made; None for other images."""
    # A step of 0 bytes from channel to channel: they are one memory.
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 3 and image.strides[2] == 0 else None
