"""What every segmentation network returns, what some return, and which parts only training needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor


class SegmentationOutput(Protocol):
    """The least that the output of a network holds.

    The network is called with pictures `(B, 3, S, S)`. A system whose `fits` holds more than "stretch" has a
    network that also takes `inside`, `(B, 1, S, S)` in {0, 1}: where each picture shows the image. What is
    around it is black, and no means over the image may hold it.
    """

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


def pool(features: Sequence[Tensor], inside: Tensor | None = None) -> Tensor:
    """Return the mean of each channel over the image, `(B, sum of C)` float32.

    Args:
        features: Maps `(B, C, h, w)` of pictures `(B, 3, S, S)`; h and w divide S.
        inside: Where the pictures show the image, `(B, 1, S, S)` in {0, 1}; None: everywhere.
    """
    if inside is None:
        return torch.cat([level.float().mean(dim=(2, 3)) for level in features], dim=1)
    means = []
    for level in features:
        cell = (inside.shape[-2] // level.shape[-2], inside.shape[-1] // level.shape[-1])
        share = F.avg_pool2d(inside.float(), cell)  # (B, 1, h, w): the part of a cell that shows the image
        means.append((level.float() * share).sum(dim=(2, 3)) / share.sum(dim=(2, 3)))
    return torch.cat(means, dim=1)


@runtime_checkable
class HasTrainingOnlyParts(Protocol):
    """A network with parts that only training needs; its weights file leaves them out."""

    @property
    def training_only_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the state-dict keys of these parts."""
