"""What every segmentation network returns, and which parts of a network only training needs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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
class HasTrainingOnlyParts(Protocol):
    """A network with parts that only training needs; its weights file leaves them out."""

    @property
    def training_only_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the state-dict keys of these parts."""
