"""Refine a prediction by words: the mask follows what a person says.

Shape legend: K foreground classes, H, W size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import UsageError
from lexiseg.inference.dicom_images import as_displayed, check_same_image
from lexiseg.inference.explanation.word_correction import correct_mask
from lexiseg.inference.inputs.image_inputs import ImageInput, decoded_image
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.reliability.review import (
    Review,
    WordOrigin,
    disagreement,
    mask_signals,
    share_of_agreement,
    word_signals,
)
from lexiseg.inference.reliability.training_images import unlike_reason
from lexiseg.inference.result import Findings, Prediction
from lexiseg.inference.words.retrieved_words import check_words
from lexiseg.mask_overlap import region_dice
from lexiseg.printable import brief
from lexiseg.refinement.statement import Said, Statement, read_statement
from lexiseg.runs.run import Run
from lexiseg.runs.word_effects import WordEffects
from lexiseg.words.description import UNKNOWN, Description
from lexiseg.words.half_features import Half
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zone_correction import free_halves


@dataclass(frozen=True, kw_only=True)
class RefinedWord:
    """One word of a refined prediction.

    Attributes:
        factor: Name of the factor.
        title: Its title, for people.
        index: Position of the phrase in the factor's list.
        phrase: The phrase.
        said_by: The model retrieved it, a person stated it, or it follows from what the person stated
            ("derived"), as the number of sides with a lesion does.
        retrieved: The phrase that the model retrieved.
        confidence: The model's probability of `phrase` among the factor's phrases, 0..1.
    """

    factor: str
    title: str
    index: int
    phrase: str
    said_by: WordOrigin
    retrieved: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Refinement(Findings):
    """A prediction, what a person said about it, and the mask that follows.

    Attributes:
        prediction: The prediction of the model, unchanged.
        statement: What the person said.
        mask: Refined labels `(H, W)` uint8 on the grid of the image, 0 = background.
        probability: Refined probabilities per foreground class, `(K, H, W)` float32 in 0..1.
        words: One word per factor: what the person said, and what the model retrieved of all others.
        measured: What the refined mask itself measures, in the same vocabulary.
        agreement: Share of factors on which words and measurement agree, 0..1; None where nothing can be
            measured.
        overlap: Dice of the refined mask with that of the model, 0..1; of the foreground, whatever the class.
        flagged: Whether a person should look at it again: the words and the image disagree, or
            the image is unlike the training images.
        reasons: Why, in sentences; also what of the words is not true of the mask, flagged or not.
        expected_dice: Dice that is expected of the refined mask, 0..1; None where none is expected of the
            prediction, and for an image that is unlike the training images.
        area_px: Pixels per foreground class name.
        area_mm2: Square millimetres per foreground class name; None if the spacing is not known.
    """

    prediction: Prediction
    statement: Statement
    mask: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float32]
    words: tuple[RefinedWord, ...]
    measured: Description
    overlap: float

    def __repr__(self) -> str:
        return brief(
            self,
            " x ".join(map(str, self.mask.shape)),
            *(f"{name} {count} px" for name, count in self.area_px.items()),
            f"Dice {self.overlap:.2f} with the mask of the model",
            "flagged" if self.flagged else "not flagged",
        )


def refine(
    predictor: Predictor | Run | str | Path,
    image: ImageInput,
    *,
    say: Said,
    prediction: Prediction | None = None,
) -> Refinement:
    """Return the mask of an image after a person has said what is right.

    The zone atlas of the run moves the scores of the mask towards the places that are named, and away from
    those of the retrieved phrases; a half that is said to hold no lesion becomes background
    (`lexiseg.inference.explanation.word_correction`). Nothing is trained, and the network does not run again.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options.
        image: As for `lexiseg.inference.predictor.Predictor.predict`.
        say: What is right: free text, "factor: phrase", several of both, or a phrase per factor; see
            `lexiseg.refinement.statement.read_statement`.
        prediction: The prediction of this predictor for this image, where it was made already.

    Returns:
        The refinement. What could not be read is in `statement.problems`.

    Raises:
        DataError: The file cannot be read.
        UsageError: The array is not an image, the prediction is that of another image or run, what is said
            cannot be read or contradicts itself, or no word of this run can move its mask.
        RunError: The run cannot be loaded; also a `WeightsError`.
    """
    predictor = predictor_of(predictor)
    statement = statement_for(predictor, say)
    decoded = decoded_image(image, predictor.options.view)
    return refine_decoded(predictor, decoded, statement, prediction=prediction)


def statement_for(predictor: Predictor, say: Said) -> Statement:
    """Read what a person says, and make sure that it can move a mask of the run; see `refine`.

    Raises:
        UsageError: As for `refine`.
    """
    effects = _effects(predictor)
    statement = read_statement(say, effects.vocabulary, side=predictor.run.side)
    if not effects.can_move(statement.indices):
        raise UsageError(
            f"The words {_stated(effects.vocabulary, statement.indices)} cannot move the mask. "
            f"{_what_can_move(effects)}",
            code="LEX-USE-305",
        )
    return statement


def refine_decoded(
    predictor: Predictor,
    decoded: DecodedImage,
    statement: Statement,
    *,
    prediction: Prediction | None = None,
) -> Refinement:
    """Refine an image that is decoded already, by a statement that is read already; see `refine`.

    Raises:
        UsageError: The prediction is that of another image or run.
    """
    vocabulary = _effects(predictor).vocabulary
    found = prediction if prediction is not None else predictor.predict_decoded([decoded])[0]
    check_same_image(found, decoded)
    check_words(found, vocabulary)
    retrieved = [word.index for word in found.words]
    # Words and atlas are about the image in its usual display.
    shown = as_displayed(found)
    corrected = correct_mask(predictor, shown.probability, statement.indices, retrieved)
    words = _words(vocabulary, statement, found)
    measured = measure(corrected.mask, vocabulary, image=decoded.displayed, side=predictor.run.side)
    lesion = bool(corrected.mask.any())
    share = share_of_agreement(vocabulary, [word.index for word in words], measured, lesion=lesion)
    signals = {**found.signals, **mask_signals(corrected.logits), **word_signals(words, share)}
    review = predictor.review(signals, share, lesion=lesion)
    disagrees = None if share is None else disagreement(words, measured, vocabulary, lesion=lesion)
    pointless = _pointless(words, statement.indices, vocabulary)
    areas = _areas(predictor, corrected.mask)
    # An image that is unlike the training images stays so, whatever is said of it.
    unlike = unlike_reason(found.unlike_training_images) if found.unlike_training_images else None
    if unlike is not None:
        review = Review(flagged=True, doubt=unlike)
    return Refinement(
        prediction=found,
        statement=statement,
        mask=decoded.turn.undo(corrected.mask),
        probability=decoded.turn.undo_maps(corrected.probability),
        words=words,
        measured=measured,
        agreement=share,
        overlap=region_dice(corrected.mask > 0, shown.mask > 0),
        flagged=review.flagged,
        reasons=tuple(r for r in (review.doubt if review.flagged else None, disagrees, pointless) if r),
        expected_dice=review.expected_dice,
        area_px=areas,
        area_mm2=None if found.pixel_mm2 is None else {k: n * found.pixel_mm2 for k, n in areas.items()},
    )


def _effects(predictor: Predictor) -> WordEffects:
    effects = WordEffects.of(predictor.run)
    if effects is None:
        raise UsageError(
            f"The model {predictor.run.path.name} names no words, so no word can correct its masks. Use a "
            "run that was trained with words.",
            code="LEX-USE-307",
        )
    return effects


def _words(vocabulary: Vocabulary, statement: Statement, found: Prediction) -> tuple[RefinedWord, ...]:
    """Return what the person said, and what the model retrieved of all other factors."""
    words = []
    derived = _derived(vocabulary, statement.indices, [word.index for word in found.words])
    for factor, stated, follows, word in zip(
        vocabulary.factors, statement.indices, derived, found.words, strict=True
    ):
        index = next(i for i in (stated, follows, word.index) if i != UNKNOWN)
        words.append(
            RefinedWord(
                factor=factor.name,
                title=factor.title,
                index=index,
                phrase=factor.phrases[index],
                said_by="person" if stated != UNKNOWN else "model" if follows == UNKNOWN else "derived",
                retrieved=word.phrase,
                confidence=word.probabilities[index],
            )
        )
    return tuple(words)


def _derived(vocabulary: Vocabulary, stated: Sequence[int], retrieved: Sequence[int]) -> list[int]:
    """Return per factor the index that follows from the halves with a lesion; `UNKNOWN` where none does.

    Only where something was said of a half, and the retrieved phrase contradicts it.
    """
    placed: dict[Half, bool] = {}
    about_halves = False
    for factor, said, index in zip(vocabulary.factors, stated, retrieved, strict=True):
        if factor.measure is not None:
            named = factor.measure.lesion_in_halves(factor.phrases, index if said == UNKNOWN else said)
            placed |= named
            about_halves |= said != UNKNOWN and bool(named)
    number = list(placed.values()).count(True)
    found = [UNKNOWN] * len(vocabulary.factors)
    for position, factor in enumerate(vocabulary.factors):
        if not about_halves or len(placed) < 2 or stated[position] != UNKNOWN or factor.measure is None:
            continue
        halves = [factor.measure.number_of_halves(i) for i in range(len(factor.phrases))]
        if number in halves and halves[retrieved[position]] != number:
            found[position] = halves.index(number)
    return found


def _pointless(words: Sequence[RefinedWord], stated: Sequence[int], vocabulary: Vocabulary) -> str | None:
    """Name the words of the model that need a lesion where a person said that neither half has one."""
    if len(free_halves(vocabulary, stated)) < 2:
        return None
    needing = [
        f"{word.title}: '{word.phrase}'"
        for word, factor in zip(words, vocabulary.factors, strict=True)
        if word.said_by == "model"
        and factor.measure is not None
        and factor.measure.index_without_lesion(factor.phrases) == UNKNOWN
    ]
    if not needing:
        return None
    return f"the corrected mask is empty, so these words do not apply: {'; '.join(needing)}"


def _areas(predictor: Predictor, mask: npt.NDArray[np.uint8]) -> dict[str, int]:
    names = predictor.run.class_names
    counts = np.bincount(mask.ravel(), minlength=len(names))
    return {name: int(counts[label]) for label, name in enumerate(names) if label > 0}


def _stated(vocabulary: Vocabulary, indices: Sequence[int]) -> str:
    pairs = zip(vocabulary.factors, indices, strict=True)
    return ", ".join(f"'{factor.phrases[index]}'" for factor, index in pairs if index != UNKNOWN)


def _what_can_move(effects: WordEffects) -> str:
    """Say which words of a run can move its mask."""
    movable = effects.moving_factors
    atlas = ""
    if effects.run.zone_atlas is None:
        atlas = "The run has no zone atlas, which `lexiseg train` makes where the words name places. "
    elif effects.atlas is None:
        atlas = "The zone atlas of this run has strength 0: it improved no mask of its training images. "
    if movable:
        return f"{atlas}Words of these factors can: {', '.join(movable)}."
    return f"{atlas}No word of the vocabulary '{effects.vocabulary.name}' names a place that can."
