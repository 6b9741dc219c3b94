"""Losses that the compact networks share: of the mask, of the phrases, and their sum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.models.output import SegmentationOutput
from lexiseg.words.description import UNKNOWN

_SMOOTH = 1.0


def soft_dice_loss(probability: Tensor, truth: Tensor, inside: Tensor | None = None) -> Tensor:
    """Soft Dice loss per image and channel, averaged.

    Args:
        probability: `(B, C, H, W)` in 0..1.
        truth: `(B, C, H, W)` in {0, 1}, 0 where there is no image.
        inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere.

    Returns:
        Scalar in 0..1. One pixel of smoothing keeps an empty prediction on an empty mask at 0.
    """
    if inside is not None:
        probability = probability * inside
    intersection = (probability * truth).sum(dim=(2, 3))  # (B, C)
    total = probability.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    return (1 - (2 * intersection + _SMOOTH) / (total + _SMOOTH)).mean()


def mask_losses(logits: Tensor, labels: Tensor, inside: Tensor | None = None) -> dict[str, Tensor]:
    """Cross-entropy and Dice of a predicted mask.

    Args:
        logits: `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        labels: `(B, 1, H, W)` integer labels, 0 where there is no image.
        inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere. Other pixels do not count.

    Returns:
        Scalars `cross_entropy` and `dice` (mean over foreground channels).
    """
    if logits.shape[1] == 1:
        truth = (labels > 0).float()
        return {
            "cross_entropy": F.binary_cross_entropy_with_logits(logits, truth)
            if inside is None
            else _mean_inside(F.binary_cross_entropy_with_logits(logits, truth, reduction="none"), inside),
            "dice": soft_dice_loss(logits.sigmoid(), truth, inside),
        }
    index = labels[:, 0].long()  # (B, H, W)
    truth = F.one_hot(index, logits.shape[1]).permute(0, 3, 1, 2).float()
    return {
        "cross_entropy": F.cross_entropy(logits, index)
        if inside is None
        else _mean_inside(F.cross_entropy(logits, index, reduction="none")[:, None], inside),
        "dice": soft_dice_loss(logits.softmax(dim=1)[:, 1:], truth[:, 1:], inside),
    }


def batch_mask_losses(
    logits: Tensor, labels: Tensor, *, masked: Tensor | None, inside: Tensor | None
) -> dict[str, Tensor]:
    """Return `mask_losses` of those images of a batch that have a mask.

    Args:
        logits: As for `mask_losses`.
        labels: As for `mask_losses`.
        masked: Which images have a mask, `(B,)` bool, at least one; None: all have.
        inside: As for `mask_losses`.
    """
    shown = slice(None) if masked is None else masked
    return mask_losses(logits[shown], labels[shown], None if inside is None else inside[shown])


def _mean_inside(loss: Tensor, inside: Tensor) -> Tensor:
    """Return the mean of a loss `(B, 1, H, W)` over the pixels that are inside."""
    return (loss * inside).sum() / inside.sum()


def soft_label_loss(logits: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy plus Dice against probabilities, images weighed.

    The Dice is the semimetric loss of Wang et al. (MICCAI 2023, arXiv 2303.16296): for soft labels it is
    smallest where the prediction equals them, and for labels of 0 and 1 it is the soft Dice loss.

    Args:
        logits: `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        wanted: Probabilities of the foreground classes, `(B, K, H, W)` in 0..1; their sum is at most 1.
        weight: How far each image counts, `(B,)` in 0..1.

    Returns:
        Scalar: the sum over images of weight times loss, over the number of images: images that count little
        leave a small loss, they do not make others count more.
    """
    scores = logits.float()
    if scores.shape[1] == 1:
        probability = scores.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")[:, 0]  # (B, H, W)
    else:
        probability = scores.softmax(dim=1)[:, 1:]
        background = (1 - wanted.sum(dim=1, keepdim=True)).clamp(min=0)
        entropy = -(torch.cat([background, wanted], dim=1) * scores.log_softmax(dim=1)).sum(dim=1)
    total = probability.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3))  # (B, K)
    apart = (probability - wanted).abs().sum(dim=(2, 3))
    dice = (apart / (total + _SMOOTH)).mean(dim=1)  # (B,)
    return (weight * (entropy.mean(dim=(1, 2)) + dice)).mean()


def retrieval_loss(retrieval: dict[str, Tensor], indices: Tensor) -> Tensor:
    """Mean cross-entropy of the factors; samples with an unknown factor are left out of that factor.

    Args:
        retrieval: Scores `(B, N_f)` per factor.
        indices: `(B, factors)` true phrases, in the same order; `UNKNOWN` (-1) is ignored.

    Returns:
        Scalar; 0 if nothing is known.
    """
    losses = []
    for scores, index in zip(retrieval.values(), indices.unbind(dim=1), strict=True):
        known = (index != UNKNOWN).sum().clamp(min=1)
        losses.append(F.cross_entropy(scores.float(), index, ignore_index=UNKNOWN, reduction="sum") / known)
    return torch.stack(losses).mean()


class CompactObjective(nn.Module):
    """Weighted sum of the mask losses, which weigh 1 each, and of the retrieval loss where there are words.

    Args:
        retrieval_weight: Weight of the retrieval loss.
    """

    def __init__(self, *, retrieval_weight: float) -> None:
        super().__init__()
        self.retrieval_weight = retrieval_weight

    def forward(
        self,
        output: SegmentationOutput,
        labels: Tensor,
        indices: Tensor,
        masked: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss and their weighted sum.

        Args:
            output: What the network returned for a batch.
            labels: `(B, 1, H, W)` integer labels.
            indices: `(B, factors)` true phrase of each factor, `UNKNOWN` where nothing is known; not used
                where the network names no words.
            masked: Which images have a mask, `(B,)` bool, at least one; the mask losses are over these. None:
                all have.
            inside: Where there is an image, `(B, 1, H, W)` bool; None: everywhere. Other pixels do not count.

        Returns:
            Scalars `cross_entropy`, `dice`, `retrieval` (absent where the network names no words) and
            `total`.
        """
        parts = batch_mask_losses(output.logits, labels, masked=masked, inside=inside)
        total = parts["cross_entropy"] + parts["dice"]
        if output.retrieval:
            parts["retrieval"] = retrieval_loss(output.retrieval, indices)
            total = total + self.retrieval_weight * parts["retrieval"]
        parts["total"] = total
        return parts
