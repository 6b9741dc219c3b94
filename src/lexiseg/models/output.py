"""What every segmentation network returns, what some return, and which parts only training needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class SegmentationOutput(Protocol):
    """The least that the output of a network holds."""

    @property
    def logits(self) -> Tensor:
        """Raw mask scores `(B, 1 or classes, H, W)`."""

    @property
    def retrieval(self) -> dict[str, Tensor]:
        """Scores `(B, N_f)` of the phrases per factor; empty where the network names no words."""


@runtime_checkable
class HasImageFeatures(Protocol):
    """The output of a network that also returns what its encoder sees in the whole image.

    Prediction compares it with the training images; without it, it compares brightness and colours only.
    """

    @property
    def image_features(self) -> Tensor | None:
        """Features at two depths of the encoder, `(B, C_1 + C_2)`, see `pool`; None in training passes."""


def pool(features: Sequence[Tensor]) -> Tensor:
    """Return the mean of each channel over the image, `(B, sum of C)` float32, for maps `(B, C, h, w)`."""
    return torch.cat([level.float().mean(dim=(2, 3)) for level in features], dim=1)


@runtime_checkable
class HasTrainingOnlyParts(Protocol):
    """A network with parts that only training needs; its weights file leaves them out."""

    @property
    def training_only_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the state-dict keys of these parts."""
