"""Records of predictions: the results of images, and what a request may state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lexiseg.inference.records.predictions_file import DicomRecord
from lexiseg.inference.reliability.training_images import Aspect
from lexiseg.json_records import Record
from lexiseg.serving.records.common import (
    ErrorRecord,
    ModelVersion,
    Png,
    Point,
    PreviewChoice,
    Size,
)
from lexiseg.words.description import ShownSide, Side


class WordAnswer(Record):
    """One phrase that the model retrieved.

    Attributes:
        factor: Name of the factor.
        title: Its title, for people.
        index: Position of the phrase in the factor's list, from 0.
        phrase: The phrase.
        confidence: Probability of the phrase among the factor's phrases.
        runners_up: The next best phrases with their probabilities, best first.
        probabilities: Probability of every phrase, in the order of the factor's list.
    """

    factor: str
    title: str
    index: int
    phrase: str
    confidence: float
    runners_up: tuple[tuple[str, float], ...]
    probabilities: tuple[float, ...]


class ClassOutlines(Record):
    """The outlines of one class.

    Attributes:
        label: Label of the class in the mask, from 1.
        name: Its name.
        polygons: One closed polygon per region, the largest region first, at most 50; the last point is the
            first one. Holes are filled.
        regions: Number of all regions.
    """

    label: int
    name: str
    polygons: tuple[tuple[Point, ...], ...]
    regions: int


class PreviewRecord(Record):
    """An image as a person sees it, with the mask in the same frame.

    Attributes:
        image: The image with 8 bits per channel, before it is made to fit the network.
        size: Its rows and columns.
        mask: The mask in the displayed frame: the label of each pixel.
        outlines: Its outlines in the displayed frame.
        turned: How the stored image was turned to be displayed, in words.
    """

    image: Png
    size: Size
    mask: Png
    outlines: tuple[ClassOutlines, ...]
    turned: str


class MeasuredRecord(Record):
    """What a mask measures, as only the Python client needs it.

    Attributes:
        indices: Index per factor, -1 for unknown.
        sentence: The description as a sentence.
        problems: What could not be measured.
    """

    indices: tuple[int, ...]
    sentence: str
    problems: tuple[str, ...]


class ExactRecord(Record):
    """What only the Python client needs to give the same `Prediction` as `Predictor.predict`.

    Attributes:
        probability: Probabilities of the foreground classes, float32, little-endian, compressed with zlib, in
            base64.
        probability_shape: Classes, rows, columns.
        signals: Measures of how sure the network is, by name.
        measured: What the mask measures; None without words.
        side: Side convention of the model's words, also where the file does not say where the left is.
        side_known: Whether it is known whose left the model's words mean.
        turn: Whether the stored image was transposed, then its rows reversed, then its columns, to be
            displayed.
        pixel_mm2: Area of a pixel in square millimetres; None if the spacing is not known.
    """

    probability: str
    probability_shape: tuple[int, int, int]
    signals: dict[str, float]
    measured: MeasuredRecord | None
    side: Side
    side_known: bool = True
    turn: tuple[bool, bool, bool]
    pixel_mm2: float | None


class PredictionAnswer(Record):
    """The result of one image.

    Attributes:
        status: "done".
        name: Name of the uploaded file, or the position of the image in the request if it has none.
        size: Rows and columns of the stored image.
        classes: Name per label; index 0 is the background.
        mask: The label of each pixel in the stored frame.
        outlines: Outlines of each class in the stored frame.
        preview: The image as a person sees it; None where the request wants none.
        words: One retrieved phrase per factor, coarse to fine; empty for a model without words.
        measured: Phrase per factor that the mask itself measures, None where nothing is known; None without
            words.
        agreement: Share of factors on which retrieved and measured words agree; None without any.
        flagged: Whether a person should look at the result.
        reasons: Why a person should doubt it, one sentence each; there may be some without the flag.
        expected_dice: Dice that is expected of the mask; None for a model that is not calibrated, and for an
            image that is unlike the training images.
        unlike_training_images: Aspects in which the image is unlike the training images; None where the model
            does not know them.
        area_px: Pixels per foreground class.
        area_mm2: Square millimetres per foreground class; None if the spacing is not known.
        side: Whose left is meant in every word: the image's or the patient's; "unknown" for a DICOM file that
            does not say where the left is, and for sentences of a sheet whose side nothing states.
        exif_orientation: EXIF orientation of the file, 1 to 8. The stored frame ignores it, browsers do not.
        dicom: What the result of a DICOM file is based on; None for other files.
        assumptions: What was assumed of a DICOM file, one sentence per kind.
        engine: What computed the network.
        exact: See `ExactRecord`; None unless the request has `exact=true`.
    """

    status: Literal["done"] = "done"
    name: str
    size: Size
    classes: tuple[str, ...]
    mask: Png
    outlines: tuple[ClassOutlines, ...]
    preview: PreviewRecord | None
    words: tuple[WordAnswer, ...]
    measured: dict[str, str | None] | None
    agreement: float | None
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None
    unlike_training_images: tuple[Aspect, ...] | None
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    side: ShownSide
    exif_orientation: int
    dicom: DicomRecord | None
    assumptions: tuple[str, ...]
    engine: str
    exact: ExactRecord | None = None


class FailedImage(Record):
    """An image that could not be predicted.

    Attributes:
        status: "failed".
        name: Name of the uploaded file, or the position of the image in the request if it has none.
        error: Why.
    """

    status: Literal["failed"] = "failed"
    name: str
    error: ErrorRecord


ImageAnswer = Annotated[PredictionAnswer | FailedImage, Field(discriminator="status")]


class PredictResponse(Record):
    """The answer of POST /v1/predict: 200 also where images failed; each says so itself.

    Attributes:
        request_id: Number of the request, as in the log of the server.
        model: The model that computed.
        results: One result per image, in the order of the request.
    """

    request_id: str
    model: ModelVersion
    results: tuple[ImageAnswer, ...]


class UrlRequest(Record):
    """The JSON body of POST /v1/predict, where the server is allowed to fetch images.

    Attributes:
        urls: Addresses of images, http or https, on hosts that the server allows.
        model: Name of the model; None takes the first one.
        preview: Which results get a preview.
        exact: Whether results hold an `ExactRecord`.
    """

    urls: tuple[str, ...] = Field(min_length=1)
    model: str | None = None
    preview: PreviewChoice = "dicom"
    exact: bool = False
