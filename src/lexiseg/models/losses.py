"""Losses that the compact networks share: of the mask, and of the phrases."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lexiseg.words.description import UNKNOWN

_SMOOTH = 1.0


def soft_dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice loss per image and channel, averaged.

    Args:
        probability: `(B, C, H, W)` in 0..1.
        truth: `(B, C, H, W)` in {0, 1}.

    Returns:
        Scalar in 0..1. One pixel of smoothing keeps an empty prediction on an empty mask at 0.
    """
    intersection = (probability * truth).sum(dim=(2, 3))  # (B, C)
    total = probability.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    return (1 - (2 * intersection + _SMOOTH) / (total + _SMOOTH)).mean()


def mask_losses(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Cross-entropy and Dice of a predicted mask.

    Args:
        logits: `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        labels: `(B, 1, H, W)` integer labels.

    Returns:
        Scalars `cross_entropy` and `dice` (mean over foreground channels).
    """
    if logits.shape[1] == 1:
        truth = (labels > 0).float()
        return {
            "cross_entropy": F.binary_cross_entropy_with_logits(logits, truth),
            "dice": soft_dice_loss(logits.sigmoid(), truth),
        }
    index = labels[:, 0].long()  # (B, H, W)
    truth = F.one_hot(index, logits.shape[1]).permute(0, 3, 1, 2).float()
    return {
        "cross_entropy": F.cross_entropy(logits, index),
        "dice": soft_dice_loss(logits.softmax(dim=1)[:, 1:], truth[:, 1:]),
    }


def pseudo_label_loss(logits: Tensor, labels: Tensor, *, certain: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy plus Dice against labels that nobody drew: certain pixels only, images weighed.

    Args:
        logits: `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        labels: `(B, 1, H, W)` integer labels.
        certain: Pixels that count, `(B, 1, H, W)` bool.
        weight: How far each image counts, `(B,)` in 0..1.

    Returns:
        Scalar: the sum over images of weight times loss, over the number of images: images that count little
        leave a small loss, they do not make others count more.
    """
    scores, counts = logits.float(), certain[:, 0].float()  # (B, H, W)
    if scores.shape[1] == 1:
        truth = (labels > 0).float()
        probability = scores.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")[:, 0]
    else:
        index = labels[:, 0].long()
        truth = F.one_hot(index, scores.shape[1]).permute(0, 3, 1, 2)[:, 1:].float()
        probability = scores.softmax(dim=1)[:, 1:]
        entropy = F.cross_entropy(scores, index, reduction="none")
    cross_entropy = (entropy * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1)  # (B,)
    seen, wanted = probability * counts[:, None], truth * counts[:, None]
    overlap = (seen * wanted).sum(dim=(2, 3))
    total = seen.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3))
    dice = (1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)).mean(dim=1)  # (B,)
    return (weight * (cross_entropy + dice)).mean()


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
