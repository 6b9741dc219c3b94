"""Answers of a server as the results of the package: the same numbers, to the last bit."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import fields
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.facts import ImageFacts, PixelSpacing
from lexiseg.clinic.orientation import Directions, Letter, Turn
from lexiseg.inference.result import Findings, Prediction, RetrievedWord
from lexiseg.refinement.refine import RefinedWord, Refinement
from lexiseg.refinement.statement import Statement
from lexiseg.serving.records.predictions import ExactRecord, MeasuredRecord, PredictionAnswer
from lexiseg.serving.records.refinements import RefinedAnswer, RefineResponse
from lexiseg.words.description import Description, Reading, Side


def prediction_of(answer: PredictionAnswer) -> Prediction:
    """Return the prediction of an answer that holds an `ExactRecord`."""
    exact = answer.exact
    assert exact is not None, "the client asks for it"
    return Prediction(
        mask=_labels(answer.mask),
        probability=_floats(exact.probability, exact.probability_shape),
        words=tuple(RetrievedWord(**word.model_dump()) for word in answer.words),
        measured=_description(exact.measured, answer.measured, exact.side),
        side=exact.side,
        side_known=exact.side_known,
        **_findings(answer),
        unlike_training_images=answer.unlike_training_images,
        signals=exact.signals,
        engine=answer.engine,
        facts=_facts(answer, exact),
        pixel_mm2=exact.pixel_mm2,
        exif_orientation=answer.exif_orientation,
    )


def refinement_of(answer: RefineResponse) -> Refinement:
    """Return the refinement of an answer that holds its exact records."""
    refined, prediction = answer.refined, prediction_of(answer.prediction)
    exact = refined.exact
    assert exact is not None, "the client asks for it"
    measured = _description(exact.measured, refined.measured, prediction.side)
    assert measured is not None
    return Refinement(
        prediction=prediction,
        statement=Statement(texts=refined.said, indices=exact.stated_indices, problems=refined.unread),
        mask=_labels(refined.mask),
        probability=_floats(exact.probability, exact.probability_shape),
        words=tuple(RefinedWord(**word.model_dump()) for word in refined.words),
        measured=measured,
        **_findings(refined),
        overlap=refined.overlap,
    )


def _findings(answer: PredictionAnswer | RefinedAnswer) -> dict[str, Any]:
    return {field.name: getattr(answer, field.name) for field in fields(Findings)}


def _labels(text: str) -> npt.NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)), dtype=np.uint8)


def _floats(text: str, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    content = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(content, "<f4").reshape(shape).astype(np.float32)


def _description(
    measured: MeasuredRecord | None, phrases: dict[str, str | None] | None, side: Side
) -> Description | None:
    if measured is None or phrases is None:
        return None
    return Description(
        source="concepts",
        side=side,
        readings=tuple(
            Reading(factor=factor, index=index, phrase=phrase)
            for (factor, phrase), index in zip(phrases.items(), measured.indices, strict=True)
        ),
        sentence=measured.sentence,
        problems=measured.problems,
    )


def _facts(answer: PredictionAnswer, exact: ExactRecord) -> ImageFacts | None:
    dicom = answer.dicom
    if dicom is None:
        return None
    letters = dicom.patient_orientation
    transpose, flip_rows, flip_columns = exact.turn
    return ImageFacts(
        modality=dicom.modality,
        frame=dicom.frame,
        directions=None
        if letters is None
        else Directions(row=cast(Letter, letters[0]), column=cast(Letter, letters[1])),
        turn=Turn(transpose=transpose, flip_rows=flip_rows, flip_columns=flip_columns),
        spacing=PixelSpacing(mm=dicom.spacing_mm, origin=dicom.spacing_origin, reason=dicom.no_mm_reason),
        shown=dicom.shown,
        assumptions=answer.assumptions,
    )
