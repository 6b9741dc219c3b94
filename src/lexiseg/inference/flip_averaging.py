"""Flip averaging: the network's outputs for an image and its mirror image, averaged; words stay true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexiseg.engines.engine import EngineOutput, FloatArray
from lexiseg.words.vocabulary import Vocabulary


def mirrored_words(probabilities: Sequence[FloatArray], vocabulary: Vocabulary) -> list[FloatArray]:
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
            np.zeros_like(own[:, 0]) if target is None else probabilities[target[0]][:, target[1]]
            for target in row
        ]
        factor = np.stack(columns, axis=1)  # (B, N_f)
        total = factor.sum(axis=1, keepdims=True)
        uniform = np.float32(1 / factor.shape[1])
        turned.append(np.where(total > 0, factor / np.maximum(total, np.float32(1e-12)), uniform))
    return turned


def average_with_mirror(
    plain: EngineOutput, mirror: EngineOutput, vocabulary: Vocabulary | None
) -> EngineOutput:
    """Average the outputs for an image and for its mirror image.

    Args:
        plain: Output for the image.
        mirror: Output for the mirror image, as it is.
        vocabulary: The vocabulary; None without words.

    Returns:
        Mean scores on the image's grid, and mean phrase probabilities; no features. A factor with a phrase
        whose mirrored phrase is unknown has the probabilities of the image alone.
    """
    mean = (plain.logits + mirror.logits[..., ::-1]) / np.float32(2)
    if vocabulary is None or not plain.words:
        return EngineOutput(logits=mean, words=())
    turned = mirrored_words(mirror.words, vocabulary)
    pairs = zip(plain.words, turned, strict=True)
    # A phrase without a mirrored one would get nothing from the mirror image, and lose against the others.
    holes = (None in row for row in vocabulary.flip_tables["horizontal"])
    words = tuple(
        own if hole else (own + other) / np.float32(2)
        for (own, other), hole in zip(pairs, holes, strict=True)
    )
    return EngineOutput(logits=mean, words=words)
