"""Why this mask: words by scale, where each phrase acts, and the mask under other phrases."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from lexiseg.data.readers import read_image
from lexiseg.errors import UsageError
from lexiseg.inference.inside import Inside, Phrase, look_inside
from lexiseg.inference.predictor import Pixels, Predictor, as_image
from lexiseg.inference.result import Prediction

NO_WORDS = "This run names no words, so there are none to explain."
PUBLISHED = "The published network does not show where a phrase acts; the compact presets do."
ONE_EMBEDDING = (
    "All scales of the decoder hear one embedding of the image; the words are read off it and do not act by "
    "themselves. A forced phrase stands for the nearest embedding off which the network would read it."
)
MIRROR = (
    "Mask and words are averaged with the mirror image; where phrases act and the masks under other phrases "
    "are those of the image alone."
)
AVERAGED = (
    "Mask and words are averaged over two networks; where phrases act and the masks under other phrases are "
    "those of the first one alone."
)


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The mask, had the network retrieved another phrase for one factor.

    Attributes:
        phrase: The forced phrase.
        confidence: What the network gave it, 0..1.
        mask: Labels `(H, W)` uint8; None where the network cannot be brought to say the phrase.
        overlap: Dice of this mask with the one that was not forced, 0..1.
        area_change: Change of the foreground's area, in pixels of the image.
    """

    phrase: str
    confidence: float
    mask: npt.NDArray[np.uint8] | None
    overlap: float | None
    area_change: int | None


@dataclass(frozen=True, kw_only=True)
class ExplainedWord:
    """One retrieved phrase, explained.

    Attributes:
        factor: Name of the factor; the phrase itself is in the prediction.
        heat: Where the phrase acts, `(h, w)` float32 with maximum 1, on a coarse grid over the whole image;
            None if the network does not show it.
        what_if: The runners-up, forced one by one, best first.
    """

    factor: str
    heat: npt.NDArray[np.float32] | None
    what_if: tuple[WhatIf, ...]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A prediction with what led to it.

    Attributes:
        prediction: The prediction.
        words: One entry per retrieved word, in the same order.
        plain: The mask that forced ones are compared with, `(H, W)`: of the (first) network alone, without
            any averaging.
        heat_kind: What heat is: attention of the phrase, or gradient of its score; None without.
        scales: Per scale, the first first, its stride and the factors whose phrases it hears; empty where
            that is not how the network is prompted.
        hearer: What the scales are of.
        notes: What a reader must know, and what cannot be shown.
    """

    prediction: Prediction
    words: tuple[ExplainedWord, ...]
    plain: npt.NDArray[np.uint8]
    heat_kind: Literal["attention", "gradient"] | None
    scales: tuple[tuple[int, tuple[str, ...]], ...]
    hearer: Literal["encoder", "decoder"]
    notes: tuple[str, ...]


def explain(
    predictor: Predictor, image: str | Path | Pixels, *, prediction: Prediction | None = None
) -> Explanation:
    """Explain the prediction for one image.

    Args:
        predictor: A loaded run.
        image: A file, or `(H, W, 3)` or `(H, W)` uint8 pixels.
        prediction: The prediction, where it was made already by this predictor for this image.

    Raises:
        DataError: The file cannot be read.
        UsageError: The array is not an image, or the prediction is that of another image.
    """
    pixels = read_image(image) if isinstance(image, str | Path) else as_image(image)
    found = prediction if prediction is not None else predictor.predict(pixels)
    if found.mask.shape != pixels.shape[:2]:
        raise UsageError(
            f"The prediction is for an image of {found.mask.shape}, but this one is {pixels.shape[:2]}.",
            code="LEX-USE-039",
        )
    forced: list[Phrase] = []
    vocabulary = predictor.run.spoken_vocabulary
    if vocabulary is not None:
        forced = [
            (word.factor, vocabulary.factor(word.factor).phrases.index(phrase))
            for word in found.words
            for phrase, _ in word.runners_up
        ]
    retrieved = {word.factor: word.index for word in found.words}
    with torch.no_grad():
        inside = look_inside(
            predictor.network, predictor.prepare([pixels]), retrieved=retrieved, forced=forced
        )
    notes = [] if found.words else [NO_WORDS]
    if inside is None:
        return Explanation(
            prediction=found,
            words=(),
            plain=found.mask,
            heat_kind=None,
            scales=(),
            hearer="decoder",
            notes=tuple(notes),
        )
    notes += [PUBLISHED] if inside.heat_kind is None else []
    notes += [ONE_EMBEDDING] if inside.heat_kind == "gradient" else []
    notes += [MIRROR] if predictor.flip_average else []
    notes += [AVERAGED] if len(predictor.runs) > 1 else []
    plain, words = _words(predictor, found, inside)
    return Explanation(
        prediction=found,
        words=words,
        plain=plain,
        heat_kind=inside.heat_kind,
        scales=inside.spoken,
        hearer=inside.hearer,
        notes=tuple(notes),
    )


def _words(
    predictor: Predictor, prediction: Prediction, inside: Inside
) -> tuple[npt.NDArray[np.uint8], tuple[ExplainedWord, ...]]:
    """Return the mask without forcing, and one explained word per retrieved one."""
    size = (prediction.mask.shape[0], prediction.mask.shape[1])
    plain = predictor.on_grid(inside.logits, size)[0]
    rows = iter(inside.forced)
    words = []
    for word in prediction.words:
        what_if = []
        for (phrase, confidence), logits in zip(
            word.runners_up, islice(rows, len(word.runners_up)), strict=True
        ):
            mask = None if logits is None else predictor.on_grid(logits, size)[0]
            what_if.append(_what_if(phrase, confidence, mask, plain))
        heat = None
        if inside.heat_kind is not None:
            own = inside.heat[word.factor].float().cpu()
            heat = (own / own.max().clamp(min=1e-12)).numpy()
        words.append(ExplainedWord(factor=word.factor, heat=heat, what_if=tuple(what_if)))
    return plain, tuple(words)


def _what_if(
    phrase: str,
    confidence: float,
    mask: npt.NDArray[np.uint8] | None,
    plain: npt.NDArray[np.uint8],
) -> WhatIf:
    if mask is None:
        return WhatIf(phrase=phrase, confidence=confidence, mask=None, overlap=None, area_change=None)
    area, before = int((mask > 0).sum()), int((plain > 0).sum())
    same = int(((mask == plain) & (mask > 0)).sum())
    overlap = 2 * same / (area + before) if area + before else 1.0
    return WhatIf(phrase=phrase, confidence=confidence, mask=mask, overlap=overlap, area_change=area - before)
