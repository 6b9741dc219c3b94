"""The losses of the compact STPNet: cross-entropy and Dice on the mask, cross-entropy on the phrases."""

from __future__ import annotations

from torch import Tensor, nn

from lexiseg.models.losses import batch_mask_losses, retrieval_loss
from lexiseg.systems.stpnet.compact_network import CompactStpNetOutput


class CompactStpNetObjective(nn.Module):
    """Weighted sum of mask and retrieval losses.

    Args:
        retrieval_weight: Weight of the retrieval loss against the mask losses, which each weigh 1.
    """

    def __init__(self, *, retrieval_weight: float) -> None:
        super().__init__()
        self.retrieval_weight = retrieval_weight

    def forward(
        self,
        output: CompactStpNetOutput,
        labels: Tensor,
        indices: Tensor,
        masked: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss and their weighted sum.

        Args:
            output: What the network gave for a batch.
            labels: `(B, 1, H, W)` integer labels.
            indices: `(B, factors)` true phrase of each factor, `UNKNOWN` where nothing is known.
            masked: Which images have a mask, `(B,)` bool, at least one; the mask losses are over these. None:
                all have.
            inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere. Other pixels do not count.

        Returns:
            Scalars `cross_entropy`, `dice`, `retrieval` and `total`.
        """
        parts = batch_mask_losses(output.logits, labels, masked=masked, inside=inside)
        total = parts["cross_entropy"] + parts["dice"]
        parts["retrieval"] = retrieval_loss(output.retrieval, indices)
        total = total + self.retrieval_weight * parts["retrieval"]
        parts["total"] = total
        return parts
