"""Pseudo labels: masks that the network draws itself, and what the words of an image make of them.

Shape legend: B batch, H, W image size, F factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexiseg.models.agreement import foreground_logits
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.level_sets import best_level_set
from lexiseg.words.vocabulary import Vocabulary

#: Pseudo labels that fit their words less than this are not used at all.
_LEAST_FIT = 0.05


@dataclass(frozen=True, kw_only=True)
class PseudoLabels:
    """Targets for images without mask.

    Attributes:
        labels: `(B, 1, H, W)` uint8.
        certain: Pixels that count, `(B, 1, H, W)` bool.
        weight: How far each image counts, `(B,)` float32 in 0..1.
    """

    labels: Tensor
    certain: Tensor
    weight: Tensor


def confident_labels(logits: Tensor, *, confidence: float) -> PseudoLabels:
    """Return the network's own mask where it is sure of it; all images count alike.

    Args:
        logits: Mask scores `(B, 1 or classes, H, W)`.
        confidence: Probability of the label from which a pixel counts, 0.5..1.
    """
    scores = logits.float()
    if scores.shape[1] == 1:
        lesion = scores.sigmoid()
        labels, probability = (lesion > 0.5).long(), torch.maximum(lesion, 1 - lesion)
    else:
        probability, labels = scores.softmax(dim=1).max(dim=1, keepdim=True)
    return PseudoLabels(
        labels=labels.to(torch.uint8),
        certain=probability >= confidence,
        weight=torch.ones(len(labels), device=labels.device),
    )


def checked_by_words(
    logits: Tensor, indices: Tensor, vocabulary: Vocabulary, *, side: Side, confidence: float
) -> PseudoLabels:
    """Return pseudo labels drawn and weighed by the words of their images.

    Of the masks that the network's probabilities allow, the one is taken that fits the words best
    (`best_level_set`), and it weighs as much as it fits them. An image of which nothing is known counts for
    nothing.

    Args:
        logits: Mask scores `(B, 1 or classes, H, W)`.
        indices: Phrases of the images, `(B, F)`, `UNKNOWN` where nothing is known.
        vocabulary: The vocabulary.
        side: Side convention of the words.
        confidence: As in `confident_labels`; pixels that the words changed count in any case.
    """
    usual = confident_labels(logits, confidence=confidence)
    foreground = foreground_logits(logits).sigmoid().cpu().numpy()
    kinds = _if_lesion(logits).cpu().numpy()
    drawn, weights = [], []
    for probability, kind, said in zip(foreground, kinds, indices.tolist(), strict=True):
        mask, value = best_level_set(probability, kind, vocabulary, said, side=side)
        known = any(index != UNKNOWN for index in said)
        drawn.append(torch.from_numpy(mask))
        weights.append(value if known and value >= _LEAST_FIT else 0.0)
    labels = torch.stack(drawn)[:, None].to(logits.device)
    return PseudoLabels(
        labels=labels,
        certain=usual.certain | (labels != usual.labels),
        weight=torch.tensor(weights, device=logits.device),
    )


def _if_lesion(logits: Tensor) -> Tensor:
    """Return which class each pixel has if it is lesion, `(B, H, W)` uint8."""
    if logits.shape[1] == 1:
        return torch.ones_like(logits[:, 0], dtype=torch.uint8)
    return (logits[:, 1:].argmax(dim=1) + 1).to(torch.uint8)
