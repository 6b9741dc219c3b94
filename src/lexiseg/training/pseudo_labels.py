"""Pseudo labels: masks that the network draws itself, and what the words of an image say against them.

Shape legend: B batch, H, W image size, F factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.mask_fit import mask_fit, remove_denied_regions
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
    pseudo: PseudoLabels, indices: Tensor, vocabulary: Vocabulary, *, side: Side
) -> PseudoLabels:
    """Return pseudo labels corrected and weighed by the words of their images.

    What the words deny is removed (`remove_denied_regions`); what remains is weighted by how well it fits
    the words (`mask_fit`). An image of which nothing is known counts for nothing.

    Args:
        pseudo: Pseudo labels of images.
        indices: Phrases of the images, `(B, F)`, `UNKNOWN` where nothing is known.
        vocabulary: The vocabulary.
        side: Side convention of the words.
    """
    labels, certain = pseudo.labels.cpu().numpy().copy(), pseudo.certain.cpu().numpy().copy()
    weights = []
    for row, said in enumerate(indices.tolist()):
        corrected = remove_denied_regions(labels[row, 0], vocabulary, said, side=side)
        certain[row, 0] |= corrected != labels[row, 0]  # the words are sure where the network was not
        labels[row, 0] = corrected
        weights.append(_weight(corrected, said, vocabulary, side))
    device = pseudo.labels.device
    return PseudoLabels(
        labels=torch.from_numpy(labels).to(device),
        certain=torch.from_numpy(certain).to(device),
        weight=pseudo.weight * torch.tensor(weights, device=device),
    )


def _weight(labels: npt.NDArray[np.uint8], said: Sequence[int], vocabulary: Vocabulary, side: Side) -> float:
    if all(index == UNKNOWN for index in said):
        return 0.0
    value = mask_fit(labels, vocabulary, said, side=side)
    return value if value >= _LEAST_FIT else 0.0
