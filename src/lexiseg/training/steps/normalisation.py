"""Normalisation of image tensors in training: the same values as `lexiseg.inference.preprocess.normalise`."""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(image: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return `(B, 3, S, S)` float32: pixels scaled to 0..1, then `(x - mean) / std` per channel.

    Args:
        image: `(B, 1 or 3, S, S)` uint8 or float in 0..255; one channel is repeated.
        mean: Mean per channel.
        std: Standard deviation per channel.
    """
    scale = torch.tensor([1 / (255 * s) for s in std], device=image.device).view(1, -1, 1, 1)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=image.device).view(
        1, -1, 1, 1
    )
    return (image.float() * scale - shift).contiguous(memory_format=torch.channels_last)
