"""The records of the HTTP interface: what each answer holds, and what a request may state.

Pictures are PNG files in base64. Sizes are (rows, columns). Points are (column, row) in pixels, where (0, 0)
is the upper left corner of the image and (0.5, 0.5) the centre of its first pixel.

An image has two frames. The stored frame is the grid of the file: masks, outlines and areas of a result are
in this frame, as those of `lexiseg predict` are. The displayed frame is the one in which a person sees the
image. They differ only for DICOM files that are stored mirrored or rotated. `PreviewRecord` and zone maps are
in the displayed frame.

Every answer with a status from 400 up is a `RefusalRecord`. The routes:

POST /v1/predict                             multipart `image` (one or several), `model`, `preview`, `exact`;
                                             or JSON: `UrlRequest`. Gives `PredictResponse`.
POST /v1/refine                              multipart `image`, `say` (text, or a JSON object with a phrase
                                             per factor), `model`, `preview`, `exact`. Gives
                                             `RefineResponse`.
GET /v1/models                               `ModelsResponse`
GET /v1/models/{name}/zones/{factor}/{index} PNG, grey values: where the phrase acts
POST /v1/jobs                                multipart `image` (many), `model`, `formats` (separated by
                                             commas). Gives 202 and `JobRecord`.
GET /v1/jobs                                 `JobsResponse`
GET /v1/jobs/{id}                            `JobRecord`
GET /v1/jobs/{id}/events                     server-sent events `progress` and, as the last, `end`; the
                                             data of each is a `JobRecord`
GET /v1/jobs/{id}/result                     the outputs as a zip file
DELETE /v1/jobs/{id}                         `JobRecord`: the job is cancelled, and its files are removed
GET /healthz, GET /readyz                    `HealthRecord`
GET /metrics                                 metrics in the format of Prometheus
GET /                                        the page

Where the server asks for a token, a request without one gets 401; `Authorization: Bearer TOKEN` states it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lexiseg.data.image_fit import Fit
from lexiseg.inference.predictions_file import DicomRecord
from lexiseg.inference.training_images import Aspect
from lexiseg.json_records import Record
from lexiseg.words.description import Side

Share = Annotated[float, Field(ge=0, le=1)]
Size = tuple[int, int]
Point = tuple[float, float]
#: A PNG file in base64.
Png = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"})]
#: Whose left is meant in words.
ShownSide = Side | Literal["unknown"]
#: Which images come back with a preview: DICOM files, all, or none.
PreviewChoice = Literal["dicom", "always", "never"]
#: What a token may do. "predict" includes refinement; "jobs" is for jobs; "metrics" for /metrics.
Scope = Literal["predict", "jobs", "metrics"]
#: How far a job is. The last three are final.
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class ErrorRecord(Record):
    """Why something was refused.

    Attributes:
        code: Stable code, such as "LEX-DATA-013"; docs/reference/errors.md lists cause and remedy of each.
        message: What was expected, what came, and how to correct it, for a person.
    """

    code: str
    message: str


class RefusalRecord(Record):
    """The body of every answer with a status from 400 up.

    Attributes:
        error: Why the request was refused.
        request_id: Number of the request, as in the log of the server.
    """

    error: ErrorRecord
    request_id: str


class ModelVersion(Record):
    """The model that computed an answer.

    Attributes:
        name: Its name, as in /v1/models.
        version: SHA-256 of the files of the run that its results depend on.
        lexiseg_version: Version of Lexiseg that computed.
    """

    name: str
    version: str
    lexiseg_version: str


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
        turn: Whether the stored image was transposed, then its rows reversed, then its columns, to be
            displayed.
        pixel_mm2: Area of a pixel in square millimetres; None if the spacing is not known.
    """

    probability: str
    probability_shape: tuple[int, int, int]
    signals: dict[str, float]
    measured: MeasuredRecord | None
    side: Side
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
            does not say where the left is.
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


class PhraseRecord(Record):
    """One phrase of a factor.

    Attributes:
        index: Its position in the factor's list, from 0.
        phrase: The phrase.
        moves_mask: Whether refinement can move a mask by this phrase.
        has_zone: Whether /v1/models/{name}/zones/{factor}/{index} shows where it acts.
    """

    index: int
    phrase: str
    moves_mask: bool
    has_zone: bool


class FactorRecord(Record):
    """One factor of a vocabulary.

    Attributes:
        name: Name of the factor.
        title: Its title, for people.
        phrases: Its phrases.
    """

    name: str
    title: str
    phrases: tuple[PhraseRecord, ...]


class VocabularyRecord(Record):
    """The vocabulary of a model.

    Attributes:
        name: Its name.
        title: Its title, for people.
        factors: The factors, coarse to fine.
    """

    name: str
    title: str
    factors: tuple[FactorRecord, ...]


class ModelRecord(Record):
    """One model of the server.

    Attributes:
        name: Its name, for the field `model` of requests.
        version: SHA-256 of the files of the run that its results depend on.
        weights_sha256: SHA-256 of its weights.
        loaded: When it was loaded: ISO date and time, UTC.
        trained_with: Version of Lexiseg that wrote the run.
        is_default: Whether requests that name no model get it.
        classes: Name per label; index 0 is the background.
        image_size: Rows and columns of the square pictures that the network sees.
        fit: How an image fits them: "stretch": it is resized; "pad": it is resized with its aspect ratio
            kept, with black beside it; "tiles": windows at its own pixels, and the whole image once.
        side: Whose left is meant in its words; None without words.
        vocabulary: Its vocabulary; None for a model without words.
        can_refine: Whether words can move its masks.
        is_calibrated: Whether it expects a Dice of each mask.
        knows_training_images: Whether it notices images that are unlike its training images.
        engine: What computes the network.
        card: Its model card in Markdown; empty where the run has none.
    """

    name: str
    version: str
    weights_sha256: str
    loaded: str
    trained_with: str
    is_default: bool
    classes: tuple[str, ...]
    image_size: int
    fit: Fit
    side: Side | None
    vocabulary: VocabularyRecord | None
    can_refine: bool
    is_calibrated: bool
    knows_training_images: bool
    engine: str
    card: str


class ModelsResponse(Record):
    """The answer of GET /v1/models.

    Attributes:
        models: The models, the default one first.
    """

    models: tuple[ModelRecord, ...]


class JobRecord(Record):
    """A job: many images, predicted in the background, with their outputs as one zip file.

    Attributes:
        id: Its number.
        state: How far it is.
        model: The model that computes.
        formats: The outputs, as in `lexiseg predict --write`.
        created: ISO date and time, UTC.
        images: Number of images.
        done: Number of images that are predicted.
        failed: Number of images that could not be predicted; predictions.jsonl in the zip says why.
        flagged: Number of predicted images that a person should look at.
        bytes: Size of the zip file; None until the job is done.
        error: Why the whole job failed; None unless it did.
        expires: When the job and its files are removed: ISO date and time, UTC; None until it is final.
    """

    id: str
    state: JobState
    model: ModelVersion
    formats: tuple[str, ...]
    created: str
    images: int
    done: int
    failed: int
    flagged: int
    bytes: int | None
    error: ErrorRecord | None
    expires: str | None


class JobsResponse(Record):
    """The answer of GET /v1/jobs.

    Attributes:
        jobs: The jobs of the holder of the token, the newest first.
    """

    jobs: tuple[JobRecord, ...]


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


class HealthRecord(Record):
    """The answer of GET /healthz and GET /readyz.

    Attributes:
        status: "ok"; "stopping" while the last requests end.
        version: Version of Lexiseg.
    """

    status: Literal["ok", "stopping"]
    version: str
