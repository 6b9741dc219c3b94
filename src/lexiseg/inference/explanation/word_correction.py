"""The mask under other words: scores corrected by the zone atlas of a run.

`logit + strength * (said - _TAKEN_BACK * retrieved)`, where each term sums `logit P(pixel | phrase) - logit
P(pixel)` over the factors that are stated. The network has drawn its mask with the places of the retrieved
phrases in mind, so a part of their correction is taken back. A half that is said to hold no lesion becomes
background.

Shape legend: K foreground classes, C mask scores (1 for one class, else K + 1 with the background first),
H, W size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexiseg.engines.engine import FloatArray
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.word_effects import WordEffects
from lexiseg.words.description import UNKNOWN
from lexiseg.words.zone_correction import halves_without_lesion, logit_correction, without_excluded

# Share of the retrieved phrases' correction that is taken back; chosen on validation images.
_TAKEN_BACK = 0.5
# Probabilities are single precision: those nearer to 0 or 1 cannot be told from them.
_LEAST = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class CorrectedMask:
    """A mask under other words.

    Attributes:
        mask: Labels `(H, W)` uint8.
        probability: Probabilities per foreground class, `(K, H, W)` float32 in 0..1; calibrated as those that
            were corrected.
        logits: Mask scores `(C, H, W)` float32, not calibrated.
    """

    mask: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float32]
    logits: FloatArray


def correct_mask(
    predictor: Predictor,
    probability: npt.NDArray[np.float32],
    stated: Sequence[int],
    retrieved: Sequence[int],
) -> CorrectedMask:
    """Return the mask of an image under other words.

    Args:
        predictor: The predictor that made the prediction.
        probability: Its probabilities, `(K, H, W)` float32.
        stated: The words, one index per factor; `UNKNOWN` where nothing is stated.
        retrieved: The words that the model retrieved, one index per factor.
    """
    run, calibration = predictor.run, predictor.calibration
    effects = WordEffects.of(run)
    assert effects is not None, "only a run that names words is corrected by them"
    temperature = 1.0 if calibration is None else calibration.temperature
    size = (probability.shape[1], probability.shape[2])
    logits = _scores(probability) * np.float32(temperature)
    atlas = effects.atlas
    if atlas is not None:
        replaced = [r if s != UNKNOWN else UNKNOWN for s, r in zip(stated, retrieved, strict=True)]
        moved = logit_correction(atlas, stated, size, side=run.side)
        moved -= np.float32(_TAKEN_BACK) * logit_correction(atlas, replaced, size, side=run.side)
        logits = logits + np.float32(atlas.strength) * moved
    logits = without_excluded(logits, halves_without_lesion(effects.vocabulary, stated, size, side=run.side))
    labels = logits[0] > 0 if len(logits) == 1 else logits.argmax(axis=0)
    return CorrectedMask(
        mask=labels.astype(np.uint8),
        probability=predictor.engine.probability(logits / np.float32(temperature)),
        logits=logits,
    )


def _scores(probability: npt.NDArray[np.float32]) -> FloatArray:
    """Return scores `(C, H, W)` whose sigmoid or softmax gives the probabilities `(K, H, W)`."""
    likely = probability.astype(np.float64).clip(_LEAST, 1 - _LEAST)
    if len(likely) == 1:
        return np.asarray(np.log(likely) - np.log1p(-likely), dtype=np.float32)
    background = (1 - likely.sum(axis=0, keepdims=True)).clip(_LEAST)
    return np.asarray(np.log(np.concatenate([background, likely])), dtype=np.float32)
