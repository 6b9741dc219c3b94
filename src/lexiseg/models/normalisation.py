"""How a network expects the values of its input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How a network expects its input: `(image / 255 - mean) / std` per channel, RGB.

    Attributes:
        mean: Mean per channel, 0..1.
        std: Standard deviation per channel, 0..1.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


#: ImageNet statistics, which torchvision's ResNet-101 and CLIPSeg expect.
IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
