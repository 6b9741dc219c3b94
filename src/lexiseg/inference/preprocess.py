"""From pixels to the tensor a network sees, the same in training and in use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexiseg.data.resize import resize_image


def to_grid(image: npt.NDArray[np.uint8], image_size: int) -> npt.NDArray[np.uint8]:
    """Resize `(H, W, C)` uint8 to `(S, S, C)`; the aspect ratio is not kept, as in both papers."""
    return resize_image(image, (image_size, image_size))


def to_batch(images: list[npt.NDArray[np.uint8]]) -> Tensor:
    """Stack `(S, S, 3)` uint8 images to `(B, 3, S, S)` uint8, laid out channels last."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


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
