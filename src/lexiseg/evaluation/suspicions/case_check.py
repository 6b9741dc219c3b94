"""The signs of one case, from its mask, its report and a prediction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.readers import read_image_with_facts, read_labels
from lexiseg.errors import DataError
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.evaluation.suspicions.ranking import CaseFindings
from lexiseg.evaluation.suspicions.signs import (
    KINDS,
    Expectation,
    Kind,
    count_differences,
    mask_signs,
    report_signs,
)
from lexiseg.inference.result import Prediction
from lexiseg.mask_overlap import region_dice
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary


def check_case(
    sample: Sample, prediction: Prediction, index: DatasetIndex, references: References | None
) -> CaseFindings:
    """Return the signs of one case.

    Raises:
        LexisegError: Its mask cannot be read, or differs from the image in size.
    """
    expectation = Expectation(
        probability=prediction.probability.sum(axis=0),
        words=tuple(np.array(word.probabilities) for word in prediction.words),
    )
    given = None
    if sample.mask is not None:
        given = read_labels(sample, index.coding)
        if given.shape != prediction.mask.shape:
            raise DataError(
                f"The mask {sample.mask} and its image {sample.image} differ in size. Export both at one "
                "size.",
                code="LEX-DATA-902",
            )
    told = measured = None
    if references is not None:
        image = read_image_with_facts(sample.image)
        if sample.report is not None:
            read = references.of(sample, prediction.mask, image.pixels).indices
            told = read if any(position != UNKNOWN for position in read) else None
        if given is not None:
            # As displayed: reports and the run name the sides of the usual display.
            measured = measure_indices(
                image.turn.apply(given), references.vocabulary, image=image.displayed, side=references.side
            )
    return case_findings(
        sample,
        given,
        expectation,
        told=told,
        measured=measured,
        vocabulary=None if references is None else references.vocabulary,
        unlike=bool(prediction.unlike_training_images),
    )


def case_findings(
    sample: Sample,
    given: npt.NDArray[np.integer] | None,
    expectation: Expectation,
    *,
    told: tuple[int, ...] | None = None,
    measured: tuple[int, ...] | None = None,
    vocabulary: Vocabulary | None = None,
    unlike: bool = False,
) -> CaseFindings:
    """Return the signs of a case from what its files hold and what the run expects.

    Args:
        sample: The case.
        given: Labels of its mask `(H, W)`; None without a mask.
        expectation: What the run predicts.
        told: Phrases of its report; None without.
        measured: Phrases measured on its mask; None without.
        vocabulary: The vocabulary of the phrases; None where reports are not checked.
        unlike: Whether the image is unlike the training images of the run.
    """
    signs: dict[Kind, float] = {}
    dice = missing = doubted = None
    if given is not None:
        lesion, probability = given > 0, expectation.probability
        expected = probability > 0.5
        differences = 0 if told is None else count_differences(told, measured)
        signs.update(mask_signs(lesion, probability, differences=differences))
        dice = region_dice(lesion, expected)
        missing = float((expected & ~lesion).mean())
        doubted = float(probability[lesion].mean()) if lesion.any() else None
    if told is not None and expectation.words and vocabulary is not None:
        signs.update(report_signs(told, expectation.words, vocabulary, measured=measured))
    return CaseFindings(
        sample=sample,
        signs={kind: signs[kind] for kind in KINDS if kind in signs},
        told=told,
        measured=measured,
        retrieved=expectation.words if vocabulary is not None else (),
        vocabulary=vocabulary,
        dice=dice,
        missing=missing,
        doubted=doubted,
        unlike=unlike,
    )
