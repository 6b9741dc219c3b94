"""Records of refinements: the mask that follows from what a person said."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lexiseg.json_records import Record
from lexiseg.serving.records.common import Base64, ModelVersion, Png
from lexiseg.serving.records.predictions import ClassOutlines, MeasuredRecord, PredictionAnswer


class RefinedWordAnswer(Record):
    """One word of a refined prediction.

    Attributes:
        factor: Name of the factor.
        title: Its title, for people.
        index: Position of the phrase in the factor's list, from 0.
        phrase: The phrase.
        said_by: The model retrieved it, a person stated it, or it follows from what the person stated.
        retrieved: The phrase that the model retrieved.
        confidence: The model's probability of `phrase` among the factor's phrases.
    """

    factor: str
    title: str
    index: int
    phrase: str
    said_by: Literal["model", "person", "derived"]
    retrieved: str
    confidence: float


class ExactRefinement(Record):
    """What only the Python client needs to give the same `Refinement` as `lexiseg.refine`.

    Attributes:
        probability: Refined probabilities, coded as in `ExactRecord`.
        probability_shape: Classes, rows, columns.
        stated_indices: Index per factor of what the person said, -1 where nothing was said.
        measured: What the refined mask measures.
    """

    probability: str
    probability_shape: tuple[int, int, int]
    stated_indices: tuple[int, ...]
    measured: MeasuredRecord


class OutputFile(Record):
    """A file that is part of an answer.

    Attributes:
        format: Its format, as in `lexiseg predict --write`.
        name: Its name.
        content: Its bytes in base64.
    """

    format: str
    name: str
    content: Base64


class RefinedAnswer(Record):
    """The mask that follows from what a person said.

    Attributes:
        mask: The label of each pixel of the refined mask in the stored frame.
        outlines: Its outlines in the stored frame.
        preview_mask: The refined mask in the displayed frame; None where the request wants no preview.
        preview_outlines: Its outlines in the displayed frame; None where the request wants no preview.
        said: What the person said, as it was written.
        unread: What could not be read of it, or was read as another word, one sentence each.
        words: One word per factor, coarse to fine.
        measured: Phrase per factor that the refined mask itself measures; None where nothing is known.
        agreement: Share of factors on which words and measurement agree; None without any.
        overlap: Dice of the refined mask with that of the model.
        flagged: Whether a person should look at it again.
        reasons: Why, one sentence each.
        expected_dice: Dice that is expected of the refined mask; None where none can be expected.
        area_px: Pixels per foreground class.
        area_mm2: Square millimetres per foreground class; None if the spacing is not known.
        files: DICOM objects of the refined mask, in the order of the field `formats` of the request.
        not_written: Why an object is not written, by format.
        exact: See `ExactRefinement`; None unless the request has `exact=true`.
    """

    mask: Png
    outlines: tuple[ClassOutlines, ...]
    preview_mask: Png | None
    preview_outlines: tuple[ClassOutlines, ...] | None
    said: tuple[str, ...]
    unread: tuple[str, ...]
    words: tuple[RefinedWordAnswer, ...]
    measured: dict[str, str | None]
    agreement: float | None
    overlap: float
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    files: tuple[OutputFile, ...] = ()
    not_written: dict[str, str] = Field(default_factory=dict)
    exact: ExactRefinement | None = None


class RefineResponse(Record):
    """The answer of POST /v1/refine.

    Attributes:
        request_id: Number of the request, as in the log of the server.
        model: The model that computed.
        prediction: The prediction of the model, unchanged.
        refined: The mask that follows from what the person said.
    """

    request_id: str
    model: ModelVersion
    prediction: PredictionAnswer
    refined: RefinedAnswer
