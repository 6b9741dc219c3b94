"""The losses of the published STPNet: 0.5 BCE_w + 0.5 Dice_w + retrieval focal + factor heads' focal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexiseg.systems.stpnet.paper_network import StpNetOutput
from lexiseg.words.description import UNKNOWN

_GAMMA = 2.0
_SMOOTH = 1e-5


def weighted_bce(probability: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy in which lesion and background weigh the same, however small the lesion.

    Args:
        probability: Probability of the lesion, any shape, 0..1.
        mask: Truth of the same shape, 0 or 1.

    Returns:
        0.5 x mean over all positive pixels of the batch + 0.5 x mean over all negative ones, a scalar; a kind
        of pixel that does not occur adds 0.
    """
    # Autocast forbids binary_cross_entropy, as logarithms of probabilities need float32.
    with torch.autocast(probability.device.type, enabled=False):
        truth = mask.float()
        loss = F.binary_cross_entropy(probability.float(), truth, reduction="none")
    positive = truth > 0.5
    return 0.5 * _mean_where(loss, positive) + 0.5 * _mean_where(loss, ~positive)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values, 0 if there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def weighted_dice(probability: Tensor, mask: Tensor) -> Tensor:
    """Dice loss with squared terms in the denominator, mean over the images.

    As published, probability and truth are first halved; this changes the loss only through the smoothing
    term.

    Args:
        probability: Probability of the lesion, (B, ...), 0..1.
        mask: Truth of the same shape, 0 or 1.

    Returns:
        Mean over images of `1 - (2 p.t + 1e-5) / (p.p + t.t + 1e-5)`, a scalar.
    """
    p = 0.5 * probability.float().flatten(1)  # (B, pixels)
    t = 0.5 * mask.float().flatten(1)
    dice = (2 * (p * t).sum(dim=1) + _SMOOTH) / ((p * p).sum(dim=1) + (t * t).sum(dim=1) + _SMOOTH)  # (B,)
    return (1 - dice).mean()


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Focal loss on the batch mean of the cross-entropy (not on each sample's, as Lin et al., 2017, have it).

    Args:
        logits: Scores, (B, N).
        labels: Classes, (B,) int64; samples whose label is `UNKNOWN` (-1) are left out.

    Returns:
        `(1 - exp(-ce))^2 ce`, a scalar; 0 if every label is unknown.
    """
    known = labels != UNKNOWN
    total = F.cross_entropy(logits.float(), labels, ignore_index=UNKNOWN, reduction="sum")
    ce = total / known.sum().clamp(min=1)
    return (1 - torch.exp(-ce)) ** _GAMMA * ce


class PaperStpNetObjective(nn.Module):
    """The published training objective."""

    def forward(self, output: StpNetOutput, mask: Tensor, indices: Tensor) -> dict[str, Tensor]:
        """Return the parts of the loss and their sum.

        Args:
            output: What the network gave for a batch.
            mask: Truth, (B, 1, 224, 224), 0 or 1.
            indices: True phrase of every factor, (B, factors) int64 in the network's factor order; `UNKNOWN`
                is ignored.

        Returns:
            Scalars `weighted_bce`, `weighted_dice`, `retrieval` and `heads` (sums over the factors), and
            `total = 0.5 weighted_bce + 0.5 weighted_dice + retrieval + heads`.
        """
        probability = output.probability
        labels = dict(zip(output.factors, indices.unbind(dim=1), strict=True))  # each (B,)
        retrieval = [focal(output.retrieval[name], label) for name, label in labels.items()]
        heads = [focal(output.factors[name].logits, label) for name, label in labels.items()]
        parts = {
            "weighted_bce": weighted_bce(probability, mask),
            "weighted_dice": weighted_dice(probability, mask),
            "retrieval": torch.stack(retrieval).sum(),
            "heads": torch.stack(heads).sum(),
        }
        parts["total"] = (
            0.5 * parts["weighted_bce"] + 0.5 * parts["weighted_dice"] + parts["retrieval"] + parts["heads"]
        )
        return parts
