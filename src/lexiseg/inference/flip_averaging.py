"""Flip averaging: the network's outputs for an image and its mirror image, averaged; words stay true."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lexiseg.words.vocabulary import Vocabulary


def mirrored_words(probabilities: Sequence[Tensor], vocabulary: Vocabulary) -> list[Tensor]:
    """Turn the phrase probabilities of a mirror image into those of the image itself.

    The left lung of the mirror image is the right lung of the image. So a phrase gets the probability of its
    mirrored phrase, which may belong to another factor. A phrase without a mirrored one in the vocabulary
    gets 0; each factor is then scaled to sum to 1, and is uniform if all its phrases got 0.

    Args:
        probabilities: Per factor `(B, N_f)`, in the vocabulary's order.
        vocabulary: The vocabulary.

    Returns:
        The same shapes.
    """
    turned = []
    for row, own in zip(vocabulary.flip_tables["horizontal"], probabilities, strict=True):
        columns = [
            torch.zeros_like(own[:, 0]) if target is None else probabilities[target[0]][:, target[1]]
            for target in row
        ]
        factor = torch.stack(columns, dim=1)  # (B, N_f)
        total = factor.sum(dim=1, keepdim=True)
        turned.append(torch.where(total > 0, factor / total.clamp(min=1e-12), 1 / factor.shape[1]))
    return turned


def average_with_mirror(
    logits: tuple[Tensor, Tensor],
    probabilities: tuple[Sequence[Tensor], Sequence[Tensor]],
    vocabulary: Vocabulary | None,
) -> tuple[Tensor, list[Tensor]]:
    """Average the outputs for an image and for its mirror image.

    Args:
        logits: Mask scores of image and mirror image, each `(B, C, H, W)`.
        probabilities: Phrase probabilities of both, per factor `(B, N_f)`.
        vocabulary: The vocabulary; None without words.

    Returns:
        Mean logits on the image's grid, and mean phrase probabilities.
    """
    plain, mirror = logits
    mean = (plain + mirror.flip(-1)) / 2
    if vocabulary is None or not probabilities[0]:
        return mean, []
    turned = mirrored_words(probabilities[1], vocabulary)
    return mean, [(own + other) / 2 for own, other in zip(probabilities[0], turned, strict=True)]
