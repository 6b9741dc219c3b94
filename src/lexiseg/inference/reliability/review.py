"""The review flag: signals that need no true mask, the Dice expected from them, and reasons in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lexiseg.engines.engine import FloatArray
from lexiseg.engines.grid import sigmoid
from lexiseg.errors import RunError
from lexiseg.json_records import Record
from lexiseg.mask_overlap import region_dice
from lexiseg.words.description import UNKNOWN, Description
from lexiseg.words.measure import agreement
from lexiseg.words.vocabulary import Vocabulary

#: At most this share of the validation cases is flagged for review.
REVIEW_SHARE = 0.2
SignalName = Literal["agreement", "words", "overlap", "inside", "size", "mirror"]
#: Where a word comes from: the model retrieved it, a person stated it, or it follows from the stated words.
WordOrigin = Literal["model", "person", "derived"]
#: What may lower the expected Dice, by signal, in words for people.
DOUBTS: dict[SignalName, str] = {
    "agreement": "words and mask disagree",
    "words": "unsure words",
    "overlap": "unsure mask",
    "inside": "unsure inside the lesion",
    "size": "small lesion",
    "mirror": "the mirror image gets another mask",
}
#: What is said of an empty mask, in place of doubts about its lesion.
NOTHING_FOUND = "no lesion found"

# What a reason calls the origin of a word.
_ORIGINS: dict[WordOrigin, str] = {
    "model": "retrieved",
    "person": "stated",
    "derived": "derived from the stated words",
}
# Share of the image below which a lesion counts as none on the logarithmic scale of sizes.
_LEAST_SHARE = 1e-4
_OF_A_LESION = ("inside", "size")
_MAY_BE_UNKNOWN = "agreement"
# A signal is named as a doubt if it makes up at least this share of what lowers the expectation.
_NAMED_FROM = 0.25


class StatedWord(Protocol):
    """A phrase that stands for a factor, retrieved by the model or stated by a person."""

    @property
    def index(self) -> int:
        """Position of the phrase in the factor's list."""

    @property
    def phrase(self) -> str:
        """The phrase."""

    @property
    def confidence(self) -> float:
        """The model's probability of the phrase, 0..1."""

    @property
    def said_by(self) -> WordOrigin:
        """Where it comes from."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """Whether a person should look at a mask.

    Attributes:
        flagged: Whether a person should look at it.
        expected_dice: Dice that is expected of the mask, 0..1; None for a run that is not calibrated.
        doubt: Why the expected Dice is what it is, in words; None for a run that is not calibrated.
    """

    flagged: bool
    expected_dice: float | None = None
    doubt: str | None = None


class Signal(Record):
    """One signal of a review rule.

    Attributes:
        mean: Mean over the validation cases.
        spread: Their standard deviation; 1 if it is 0.
        weight: Weight of the standardised signal, at least 0: no doubt can ever raise the expectation.
    """

    mean: float = Field(ge=-1e6, le=1e6)
    spread: float = Field(ge=1e-12, le=1e6)
    weight: float = Field(ge=0, le=1e6)

    def part(self, value: float) -> float:
        """Return what the signal adds to the expectation, on the scale of log odds."""
        return self.weight * (value - self.mean) / self.spread


class ReviewRule(Record):
    """Which predictions ask for review: those of low expected Dice. Fitted on validation cases only.

    The expected Dice is `sigmoid(bias + sum of weight * (signal - mean) / spread)`. An agreement that is not
    known, as nothing could be measured, counts as its mean: it says nothing.

    Attributes:
        signals: The signals by name, see `DOUBTS`.
        bias: Log odds of the Dice of an average case.
        below: Predictions with an expected Dice below this are flagged.
        flagged: Share of the validation cases that are.
        dice_flagged: Their mean Dice; None if there are none.
        dice_rest: Mean Dice of the other validation cases.
    """

    signals: dict[SignalName, Signal]
    bias: float = Field(ge=-1e6, le=1e6)
    below: float
    flagged: float = 0.0
    dice_flagged: float | None = None
    dice_rest: float | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the signals that count, those above 0, heaviest first."""
        used = {name: signal.weight for name, signal in self.signals.items() if signal.weight > 0}
        return dict(sorted(used.items(), key=lambda item: -item[1]))

    def expected_dice(self, signals: Mapping[str, float]) -> float:
        """Return the expected Dice of a prediction, in 0..1, from its signals."""
        odds = self.bias + sum(self._parts(signals).values())
        return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))

    def reason(self, signals: Mapping[str, float], *, lesion: bool) -> str:
        """Say why the expectation is low, such as "low confidence: expected Dice 0.41 (small lesion)".

        Args:
            signals: The prediction's signals.
            lesion: Whether its mask holds any.
        """
        lowering = {name: -part for name, part in self._parts(signals).items() if part < 0}
        enough = _NAMED_FROM * sum(lowering.values())
        # That words and mask disagree is a reason of its own, which says on what.
        unsaid = ("agreement",) if lesion else ("agreement", *_OF_A_LESION)
        named = [name for name in lowering if lowering[name] >= enough and name not in unsaid]
        said = [DOUBTS[name] for name in sorted(named, key=lambda name: -lowering[name])]
        doubts = ", ".join(said if lesion else [NOTHING_FOUND, *said])
        return f"low confidence: expected Dice {self.expected_dice(signals):.2f}" + (
            f" ({doubts})" if doubts else ""
        )

    def _parts(self, signals: Mapping[str, float]) -> dict[SignalName, float]:
        missing = [name for name in self.signals if name not in signals and name != _MAY_BE_UNKNOWN]
        if missing:
            raise RunError(
                f"The calibration of the run uses the signal '{missing[0]}', which this way of predicting "
                f"does not have. Remove calibration.json from the run, or fit it again with "
                f"`lexiseg calibrate`.",
                code="LEX-RUN-772",
            )
        return {name: signal.part(signals.get(name, signal.mean)) for name, signal in self.signals.items()}


def mask_signals(logits: FloatArray) -> dict[str, float]:
    """Return what mask scores say of their own certainty; all classes together are the lesion.

    Args:
        logits: Mask scores `(C, S, S)` of one image at the network's size, not calibrated.

    Returns:
        `overlap`: the Dice that mask and truth would have if every pixel were lesion with the probability the
        network gives it; `inside`: mean of |2 p - 1| over the mask; of an empty mask both are judged by its
        likeliest pixel; `size`: logarithm (base 10) of the mask's share of the image.
    """
    probability, mask = _lesion(logits)
    pixels = int(np.count_nonzero(mask))
    if pixels:
        of_mask = probability[mask]
        overlap = float(2 * of_mask.sum() / (probability.sum() + pixels))
        inside = float(np.abs(2 * of_mask - 1).mean())
    else:
        largest = float(probability.max())
        overlap, inside = 1 - largest, abs(2 * largest - 1)
    size = math.log10(max(pixels / mask.size, _LEAST_SHARE))
    return {"overlap": overlap, "inside": inside, "size": size}


def mask_overlap(one: FloatArray, other: FloatArray) -> float:
    """Return the Dice of the masks of two scores `(C, S, S)`, all classes together; 1 if both are empty.

    Of an image and its mirror image, turned back, this is the signal `mirror`.
    """
    return region_dice(_lesion(one)[1], _lesion(other)[1])


def word_signals(words: Sequence[StatedWord], agreement: float | None) -> dict[str, float]:
    """Return what the words say: their mean confidence, and their agreement with the mask where known."""
    if not words:
        return {}
    signals = {"words": sum(word.confidence for word in words) / len(words)}
    return signals if agreement is None else {**signals, "agreement": agreement}


def share_of_agreement(
    vocabulary: Vocabulary, stated: Sequence[int], measured: Description, *, lesion: bool
) -> float | None:
    """Return the share of factors on which stated and measured words agree.

    None where nothing can be measured: in any image, as with a vocabulary made from a sheet's sentences, or
    in this one, as colours in a grey image. 0 where the mask is empty and the words can only speak of a
    lesion.

    Args:
        vocabulary: The vocabulary.
        stated: One index per factor, retrieved or said.
        measured: What the mask measures, in the same side convention.
        lesion: Whether the mask holds any.
    """
    if all(factor.measure is None for factor in vocabulary.factors):
        return None
    if not lesion and all(index == UNKNOWN for index in measured.indices):
        return 0.0
    return agreement(stated, measured.indices)


def disagreement(
    words: Sequence[StatedWord], measured: Description, vocabulary: Vocabulary, *, lesion: bool
) -> str | None:
    """Say on what words and words measured on the mask disagree; None if on nothing.

    Args:
        words: One per factor of the vocabulary, of any origin.
        measured: What the predicted mask measures, in the same side convention.
        vocabulary: The vocabulary.
        lesion: Whether the mask holds any.
    """
    parts = [
        f"{factor.title}: '{word.phrase}' {_ORIGINS[word.said_by]}, '{reading.phrase}' measured on the mask"
        for factor, word, reading in zip(vocabulary.factors, words, measured.readings, strict=True)
        if reading.index not in (UNKNOWN, word.index)
    ]
    if not parts and not lesion and all(reading.index == UNKNOWN for reading in measured.readings):
        parts = ["the words speak of a lesion, the mask is empty"]
    return f"{DOUBTS['agreement']}: {'; '.join(parts)}" if parts else None


def _lesion(logits: FloatArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return probability and mask of the lesion, any class, each `(S, S)`, for logits `(C, S, S)`."""
    scores = logits.astype(np.float64)
    if len(scores) == 1:
        return sigmoid(scores[0]), logits[0] > 0
    powers = np.exp(scores - scores.max(axis=0))
    return 1 - powers[0] / powers.sum(axis=0), scores.argmax(axis=0) > 0
