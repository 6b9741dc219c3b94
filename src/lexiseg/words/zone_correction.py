"""Mask scores corrected by words: the atlas added in logit space, and halves without a lesion.

Shape legend: K foreground classes, C channels of scores (1 for one class, else K + 1 with the background
first), G cells along each side of the atlas, H, W size of an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexiseg.mask_overlap import mean_dice
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.flips import to_side
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zone_atlas import ZoneAtlas, in_half, resized

Scores = npt.NDArray[np.float32]

#: Weights of the correction that `fit_strength` chooses from.
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)

#: Scores of the classes in a half without a lesion: a probability of 5e-5.
_EXCLUDED = -10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class CorrectionCase:
    """Mask scores of an image with a mask, and what its words say.

    Attributes:
        logits: Mask scores `(C, H, W)` float32.
        correction: What the words add to them, `(C, H, W)`; see `logit_correction`.
        excluded: Halves without a lesion, `(H, W)` bool; see `halves_without_lesion`.
        labels: The true labels, `(H, W)` uint8.
    """

    logits: Scores
    correction: Scores
    excluded: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.uint8]

    def corrected(self, strength: float) -> Scores:
        """Return the scores `(C, H, W)` that the words correct, with a weight of the atlas."""
        return without_excluded(self.logits + np.float32(strength) * self.correction, self.excluded)

    def dice(self, strength: float) -> float:
        """Return the Dice of the corrected mask, the mean over classes; 1 for a class that both lack."""
        return mask_dice(self.corrected(strength), self.labels)


def mask_dice(logits: Scores, labels: npt.NDArray[np.uint8]) -> float:
    """Return the Dice of the mask that scores give, the mean over classes; 1 for a class that both lack.

    Args:
        logits: Mask scores `(C, H, W)`.
        labels: The true labels, `(H, W)`.
    """
    one = len(logits) == 1
    predicted = (logits[0] > 0).astype(np.uint8) if one else logits.argmax(axis=0)
    truth = (labels > 0).astype(np.uint8) if one else labels
    return mean_dice(predicted, truth, 2 if one else len(logits))


def fit_strength(cases: Iterable[CorrectionCase]) -> float:
    """Return the weight of `STRENGTHS` with the highest mean Dice; of several, the smallest.

    Args:
        cases: Images with a mask, at least one. They may be training images of the network that gives the
            scores, as for the atlas of a run (`lexiseg.training.zone_atlas.add_atlas`). The network fits the
            masks of these images better than those of new images, so the weight then tends to be smaller
            than the best one for new images. Teachers are scored on images that they were not trained on.
    """
    dice = np.array([[case.dice(strength) for strength in STRENGTHS] for case in cases])
    return STRENGTHS[int(dice.mean(axis=0).round(6).argmax())]


def logit_correction(
    atlas: ZoneAtlas, indices: Sequence[int], size: tuple[int, int], *, side: Side | None = None
) -> Scores:
    """Return what a description adds to mask scores, before the weight `strength`.

    The sum over the stated phrases about places of `logit P(pixel | phrase) - logit P(pixel)`. With several
    classes, `log P - log P` of each channel, the background's included, which means the same for softmax.

    Args:
        atlas: The atlas.
        indices: The description, one index per factor; `UNKNOWN` for unknown factors.
        size: Height and width (H, W) of the scores.
        side: Side convention of the description; default: the vocabulary's.

    Returns:
        `(C, H, W)`; 0 where nothing is stated.
    """
    start = _scores_of(atlas.overall)
    total = np.zeros_like(start)
    for stated in atlas.stated_maps(indices, side=side):
        total += _scores_of(stated) - start
    return resized(total, size)


def halves_without_lesion(
    vocabulary: Vocabulary, indices: Sequence[int], size: tuple[int, int], *, side: Side | None = None
) -> npt.NDArray[np.bool_]:
    """Return the pixels of the halves that a description says hold no lesion, `(H, W)` bool.

    Args:
        vocabulary: The vocabulary; halves are known where its factors have `measure` rules about halves.
        indices: The description, one index per factor; `UNKNOWN` for unknown factors.
        size: Height and width (H, W).
        side: Side convention of the description; default: the vocabulary's.
    """
    excluded = np.zeros(size, dtype=bool)
    seen = to_side(vocabulary, indices, given=side or vocabulary.side, wanted="image")
    for half in free_halves(vocabulary, seen):
        excluded |= in_half(half, size)
    return excluded


def free_halves(vocabulary: Vocabulary, indices: Sequence[int]) -> set[Half]:
    """Return the halves that a description says hold no lesion at all, in its own side convention.

    Args:
        vocabulary: The vocabulary.
        indices: The description, one index per factor; `UNKNOWN` for unknown factors.
    """
    halves = {
        factor.measure.half_without_lesion(factor.phrases, index)
        for factor, index in zip(vocabulary.factors, indices, strict=True)
        if index != UNKNOWN and factor.measure is not None
    }
    return {half for half in halves if half is not None}


def without_excluded(logits: Scores, excluded: npt.NDArray[np.bool_]) -> Scores:
    """Return scores `(C, H, W)` that give excluded pixels `(H, W)` to the background."""
    if not excluded.any():
        return logits
    changed = logits.copy()
    if len(logits) == 1:
        changed[0, excluded] = np.minimum(logits[0, excluded], _EXCLUDED)
    else:
        background = logits[0, excluded]
        changed[1:, excluded] = np.minimum(logits[1:, excluded], background + _EXCLUDED)
    return changed


def _scores_of(probability: npt.NDArray[np.float32]) -> Scores:
    """Return scores `(C, G, G)` of probabilities `(K, G, G)`: logits of one class, else logarithms."""
    if len(probability) == 1:
        return np.log(probability) - np.log1p(-probability)
    least = 1e-3
    background = (1 - probability.sum(axis=0, keepdims=True)).clip(least)
    return np.asarray(np.log(np.concatenate([background, probability.clip(least)])), dtype=np.float32)
