"""The losses of the published CoTexNet: Dice + cross-entropy on the mask + 10 x distillation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexiseg.systems.cotexnet.paper_network import CoTexNetTrainingOutput

#: Weight of the distillation against the mask's losses, as published.
DISTILLATION_WEIGHT = 10.0

_SMOOTH = 1e-5


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Dice loss per image and channel, averaged; several classes include the background, as published.

    Args:
        probability: (B, C, H, W), 0..1.
        truth: The same shape, 0 or 1.

    Returns:
        Mean over images and channels of `1 - (2 p.t + 1e-5) / (sum p + sum t + 1e-5)`, a scalar.
    """
    p, t = probability.float().flatten(2), truth.float().flatten(2)  # (B, C, H * W)
    overlap = (p * t).sum(dim=2)  # (B, C)
    return (1 - (2 * overlap + _SMOOTH) / (p.sum(dim=2) + t.sum(dim=2) + _SMOOTH)).mean()


def mask_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of scores, mean over pixels, a scalar: of a sigmoid for one channel, else of a softmax.

    Args:
        logits: Raw scores, (B, C, H, W).
        labels: Truth, (B, 1, H, W) integers, 0 for the background; one channel takes any other
            label as lesion.
    """
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits.float(), (labels > 0).float())
    return F.cross_entropy(logits.float(), labels[:, 0].long())


class PaperCoTexNetObjective(nn.Module):
    """The published training objective.

    The published code gives its cross-entropy the network's probabilities, where it expects raw scores. So
    even a perfect mask costs 0.31 per lesion pixel and 0.69 per background pixel (binary), and the gradient
    fades where the network is sure and wrong. Here it gets the scores.

    Args:
        reference_compat: Whether to give the cross-entropy the probabilities, as the published code does.
    """

    def __init__(self, *, reference_compat: bool = False) -> None:
        super().__init__()
        self.reference_compat = reference_compat

    def forward(
        self, output: CoTexNetTrainingOutput, labels: Tensor, indices: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss and their sum.

        Args:
            output: What the network gave for a batch it was taught.
            labels: Truth, (B, 1, H, W) integers, 0 for the background.
            indices: True phrases, which all objectives are given; the published one has no loss on words.

        Returns:
            Scalars `dice`, `cross_entropy`, `distillation`, and
            `total = dice + cross_entropy + 10 distillation`.
        """
        probability = output.probability
        scores = probability if self.reference_compat else output.logits
        parts = {
            "dice": dice_loss(probability, _one_hot(labels, channels=probability.shape[1])),
            "cross_entropy": mask_cross_entropy(scores, labels),
            "distillation": output.distillation,
        }
        parts["total"] = parts["dice"] + parts["cross_entropy"] + DISTILLATION_WEIGHT * parts["distillation"]
        return parts


def _one_hot(labels: Tensor, *, channels: int) -> Tensor:
    """Return labels (B, 1, H, W) as one mask per channel, (B, C, H, W) bool."""
    if channels == 1:
        return labels > 0
    return labels == torch.arange(channels, device=labels.device).view(1, -1, 1, 1)
