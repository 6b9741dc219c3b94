"""Predictions and refinements as records of answers."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import DiskError, LexisegError
from lexiseg.extras import without_commands
from lexiseg.inference.records.predictions_file import DicomRecord
from lexiseg.inference.result import Prediction
from lexiseg.open_files import NO_HANDLE_CODE
from lexiseg.refinement.refine import Refinement
from lexiseg.serving.corrected_files import CorrectedObjects
from lexiseg.serving.pictures import class_outlines, floats_text, mask_text, png_text
from lexiseg.serving.records.common import ErrorRecord, PreviewChoice
from lexiseg.serving.records.predictions import (
    ExactRecord,
    FailedImage,
    MeasuredRecord,
    PredictionAnswer,
    PreviewRecord,
    WordAnswer,
)
from lexiseg.serving.records.refinements import ExactRefinement, OutputFile, RefinedAnswer, RefinedWordAnswer
from lexiseg.words.description import Description


def error_record(error: LexisegError) -> ErrorRecord:
    """Return what an answer says of an error; places on the disk of the server are left out."""
    message = without_commands(str(error))
    if isinstance(error, DiskError):
        message = "The disk of the server is full, or cannot be written. Tell whoever runs the server."
    if error.code == NO_HANDLE_CODE:
        message = (
            "The server may not open more files at present. Send the request again later. Where that does "
            "not help, tell whoever runs the server to raise its limit of open files."
        )
    return ErrorRecord(code=error.code, message=message)


def failed_image(name: str, error: LexisegError) -> FailedImage:
    """Return the result of an image that could not be predicted."""
    return FailedImage(name=name, error=error_record(error))


def prediction_answer(
    prediction: Prediction,
    image: DecodedImage,
    *,
    name: str,
    classes: tuple[str, ...],
    preview: PreviewChoice,
    exact: bool,
) -> PredictionAnswer:
    """Return the result of one image.

    Args:
        prediction: The prediction.
        image: The image.
        name: Its name.
        classes: Name per label.
        preview: Which results get a preview.
        exact: Whether the result holds an `ExactRecord`.
    """
    facts = prediction.facts
    wanted = wants_preview(image, preview)
    return PredictionAnswer(
        name=name,
        size=_size(prediction.mask),
        classes=classes,
        mask=mask_text(prediction.mask),
        outlines=class_outlines(prediction.mask, classes),
        preview=_preview(prediction.mask, image, classes) if wanted else None,
        words=tuple(WordAnswer.model_validate(word, from_attributes=True) for word in prediction.words),
        measured=None if prediction.measured is None else prediction.measured.phrases,
        **prediction.findings,
        unlike_training_images=prediction.unlike_training_images,
        side=prediction.shown_side,
        exif_orientation=image.orientation,
        dicom=None if facts is None else DicomRecord.of(facts),
        assumptions=() if facts is None else facts.assumptions,
        engine=prediction.engine or "",
        exact=_exact(prediction, image) if exact else None,
    )


def refined_answer(
    refinement: Refinement,
    image: DecodedImage,
    *,
    classes: tuple[str, ...],
    preview: PreviewChoice,
    exact: bool,
    objects: CorrectedObjects | None = None,
) -> RefinedAnswer:
    """Return the mask that follows from what a person said, with its files; see `prediction_answer`."""
    displayed = image.turn.apply(refinement.mask) if wants_preview(image, preview) else None
    return RefinedAnswer(
        mask=mask_text(refinement.mask),
        outlines=class_outlines(refinement.mask, classes),
        preview_mask=None if displayed is None else mask_text(displayed),
        preview_outlines=None if displayed is None else class_outlines(displayed, classes),
        said=refinement.statement.texts,
        unread=refinement.statement.problems,
        words=tuple(
            RefinedWordAnswer.model_validate(word, from_attributes=True) for word in refinement.words
        ),
        measured=refinement.measured.phrases,
        **refinement.findings,
        overlap=refinement.overlap,
        files=() if objects is None else _output_files(objects),
        not_written={} if objects is None else {name: str(why) for name, why in objects.refused.items()},
        exact=ExactRefinement(
            probability=floats_text(refinement.probability),
            probability_shape=_shape(refinement.probability),
            stated_indices=refinement.statement.indices,
            measured=_measured(refinement.measured),
        )
        if exact
        else None,
    )


def _output_files(objects: CorrectedObjects) -> tuple[OutputFile, ...]:
    return tuple(
        OutputFile(format=kind, name=name, content=base64.b64encode(content).decode())
        for kind, (name, content) in objects.files.items()
    )


def wants_preview(image: DecodedImage, preview: PreviewChoice) -> bool:
    """Return whether the result of an image gets a preview."""
    return preview == "always" or (preview == "dicom" and image.facts is not None)


def _preview(mask: npt.NDArray[np.uint8], image: DecodedImage, classes: tuple[str, ...]) -> PreviewRecord:
    displayed = image.turn.apply(mask)
    return PreviewRecord(
        image=png_text(image.displayed),
        size=_size(displayed),
        mask=mask_text(displayed),
        outlines=class_outlines(displayed, classes),
        turned=image.turn.words,
    )


def _exact(prediction: Prediction, image: DecodedImage) -> ExactRecord:
    measured, turn = prediction.measured, image.turn
    return ExactRecord(
        probability=floats_text(prediction.probability),
        probability_shape=_shape(prediction.probability),
        signals=prediction.signals,
        measured=None if measured is None else _measured(measured),
        side=prediction.side,
        side_known=prediction.side_known,
        turn=(turn.transpose, turn.flip_rows, turn.flip_columns),
        pixel_mm2=prediction.pixel_mm2,
    )


def _measured(measured: Description) -> MeasuredRecord:
    return MeasuredRecord(indices=measured.indices, sentence=measured.sentence, problems=measured.problems)


def _size(mask: npt.NDArray[np.uint8]) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]


def _shape(probability: npt.NDArray[np.float32]) -> tuple[int, int, int]:
    return probability.shape[0], probability.shape[1], probability.shape[2]
