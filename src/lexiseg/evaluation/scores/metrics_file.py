"""The content of `metrics.json`: one typed record, whose fields have the names of the JSON keys."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lexiseg.data.sample import Split
from lexiseg.json_records import FileRecord, PartlyWritten, Record
from lexiseg.runs.learned_images import unknown_images
from lexiseg.runs.manifest import Manifest
from lexiseg.words.description import ShownSide

#: Lower and upper end of a 95 % interval.
Interval = tuple[float, float]

#: Where reference words come from: the report sheet's sentences, or measurements of the true mask.
ReferenceKind = Literal["reports", "concepts"]


class MeanScore(Record):
    """A mean over cases with its 95 % bootstrap interval.

    Attributes:
        mean: Mean over the cases.
        ci95: Its 95 % percentile bootstrap interval, `(low, high)`; None where fewer than two patients, or
            cases if no patient is known, can be drawn.
    """

    mean: float
    ci95: Interval | None


class ClassMeans(Record):
    """Mean scores of one foreground class.

    Attributes:
        dice: Dice, 0..1.
        iou: Intersection over union, 0..1.
        hd95: 95th percentile of the Hausdorff distance, in `Metrics.units`; 0 is best.
        surface_dice: Surface Dice, 0..1.
    """

    dice: MeanScore
    iou: MeanScore
    hd95: MeanScore
    surface_dice: MeanScore


class Stratum(Record):
    """Mean scores of a group of cases; the scores are None where the group is empty.

    Attributes:
        n: Number of cases.
        dice: Dice, 0..1.
        iou: Intersection over union, 0..1.
        hd95: 95th percentile of the Hausdorff distance, in `Metrics.units`; 0 is best.
        surface_dice: Surface Dice, 0..1.
    """

    n: int = Field(ge=0)
    dice: MeanScore | None
    iou: MeanScore | None
    hd95: MeanScore | None
    surface_dice: MeanScore | None


class SizeStratum(Stratum):
    """Mean scores of the cases with lesions of one size tercile.

    Attributes:
        tercile: "small", "medium", "large", or "no lesion".
        share: Range of the true lesion's share of the image, `(low, high)`, each 0..1.
    """

    tercile: str
    share: tuple[float, float]


class AgreementMetrics(MeanScore):
    """How often the retrieved words agree with words measured on the predicted mask, 0..1.

    Attributes:
        flagged: Share of the cases that ask for review, 0..1.
    """

    flagged: float = Field(ge=0, le=1)


class ReviewMetrics(Record):
    """The cases that ask for review, beside the others.

    Attributes:
        flagged: Share of the cases that ask for review, 0..1.
        n: Number of these cases.
        dice_flagged: Their mean Dice; None if there are none.
        dice_rest: Mean Dice of the other cases; None if there are none.
        expected_dice: Mean of the expected Dice, 0..1, over the cases that have one; None for a run that is
            not calibrated.
        unlike_training_images: Number of cases whose image is unlike the training images; all are flagged
            and have no expected Dice. None if the run does not hold what its training images look like.
    """

    flagged: float = Field(ge=0, le=1)
    n: int = Field(ge=0)
    dice_flagged: MeanScore | None
    dice_rest: MeanScore | None
    expected_dice: float | None
    unlike_training_images: int | None = None


class ScoreSummary(Record):
    """All scores of an evaluation that need nothing but the scored cases.

    Attributes:
        num_cases: Number of scored cases.
        num_patients: Number of known patients; None if no patient is known.
        interval_over: What the bootstrap draws: whole patients where they are known, else cases.
        dice: Dice, mean of cases, 0..1.
        iou: Intersection over union, mean of cases, 0..1.
        hd95: 95th percentile of the Hausdorff distance, mean of cases, in `Metrics.units`; 0 is best.
        surface_dice: Surface Dice, mean of cases, 0..1.
        pooled_dice: Dice of the pixels of all cases together, 0..1.
        pooled_dice_ci95: Its 95 % interval; None where that of `dice` is.
        pooled_iou: Intersection over union of the pixels of all cases together, 0..1.
        pooled_iou_ci95: Its 95 % interval; None where that of `dice` is.
        few_cases: What is to be said of the intervals of so few patients or cases; None from 30 on.
        one_sided_empty: Number of cases in which a class is in only one of prediction and truth.
        empty_predictions: Number of cases with an empty predicted mask.
        by_size: Scores by size of the true lesion, small first.
        by_count: Scores by number of true lesions: "one", "several", "no lesion".
        by_class: Scores by name of the foreground class; None with one foreground class.
        sources: Scores by source of the image; None with fewer than two sources.
        agreement: Agreement of words and predicted mask; None without words that can be measured.
        review: The review flag; None for a run that cannot flag cases.
    """

    num_cases: int = Field(ge=1)
    num_patients: int | None
    interval_over: Literal["patients", "cases"]
    dice: MeanScore
    iou: MeanScore
    hd95: MeanScore
    surface_dice: MeanScore
    pooled_dice: float = Field(ge=0, le=1)
    pooled_dice_ci95: Interval | None
    pooled_iou: float = Field(ge=0, le=1)
    pooled_iou_ci95: Interval | None
    few_cases: str | None = None
    one_sided_empty: int = Field(ge=0)
    empty_predictions: int = Field(ge=0)
    by_size: tuple[SizeStratum, ...]
    by_count: dict[str, Stratum]
    by_class: dict[str, ClassMeans] | None = None
    sources: dict[str, Stratum] | None = None
    agreement: AgreementMetrics | None
    review: ReviewMetrics | None


class ConfusionMatrix(Record):
    """Retrieved phrases of one factor against their references.

    Attributes:
        title: The factor's title.
        phrases: The factor's phrases, P of them.
        n: Number of cases whose reference is known.
        confusion: P x P counts, `confusion[reference][retrieved]`.
    """

    title: str
    phrases: tuple[str, ...]
    n: int = Field(ge=0)
    confusion: tuple[tuple[int, ...], ...]


class RetrievalScores(ConfusionMatrix):
    """How well one factor is retrieved; the scores are None where no reference is known.

    Attributes:
        accuracy: Share of the `n` cases whose retrieved phrase is the reference, 0..1.
        ci95: Its 95 % interval.
        majority: Accuracy, on the same cases, of the training split's most frequent phrase, 0..1; None also
            where the data set has no training split.
        majority_of_split: Accuracy, on the same cases, of the phrase most frequent in them, 0..1.
        majority_phrase: The training split's most frequent phrase.
    """

    accuracy: float | None
    ci95: Interval | None
    majority: float | None
    majority_of_split: float | None
    majority_phrase: str | None


class ReliabilityBin(Record):
    """Pixels whose predicted probability lies in one range.

    Attributes:
        range: The range of probabilities, `(low, high)`.
        pixels: Number of pixels; each pixel counts once per foreground class.
        probability: Their mean predicted probability, 0..1; None without pixels.
        lesion: Share of them that is lesion, 0..1; None without pixels.
    """

    range: tuple[float, float]
    pixels: int = Field(ge=0)
    probability: float | None
    lesion: float | None


class ReliabilityScores(Record):
    """How true the predicted probabilities are.

    Attributes:
        ece: Expected calibration error, 0..1; 0 is best.
        pixels: Number of pixels; each pixel counts once per foreground class.
        bins: The bins of the reliability diagram, in order.
    """

    ece: float = Field(ge=0)
    pixels: int = Field(ge=0)
    bins: tuple[ReliabilityBin, ...]


class CalibrationMetrics(ReliabilityScores):
    """How true the predicted probabilities are, and the calibration that was used.

    Attributes:
        temperature: Temperature of the calibration; None without calibration.
        signals: Weight of each signal of the review rule that counts, heaviest first; None without
            calibration.
    """

    temperature: float | None
    signals: dict[str, float] | None


class FailedCase(Record):
    """A case that could not be scored.

    Attributes:
        id: The case.
        image: Its image file.
        error: Why it could not be scored.
    """

    id: str
    image: str
    error: str


class EvaluatedManifest(Manifest):
    """The manifest of the evaluated run; the vocabulary is left out, as it is long.

    Attributes:
        vocabulary: Always None.
    """

    vocabulary: None = Field(default=None, exclude=True)


class EvaluatedRun(Record):
    """The run that was evaluated.

    Attributes:
        folder: Its folder, or its name if it comes with Lexiseg.
        manifest: Its manifest at the time of the evaluation.
        weights_sha256: SHA-256 of its weights.safetensors; None in files of version 0.1.0.
    """

    folder: str
    manifest: EvaluatedManifest
    weights_sha256: str | None = None


class EvaluatedData(PartlyWritten, Record):
    """The data that were evaluated.

    Attributes:
        folder: The data set's folder.
        name: The data set's name.
        layout: The folder layout.
        split: The split.
        samples: Number of images in the split.
        ids_sha256: SHA-256 of the sorted sample ids: equal hashes mean the same cases.
        assumptions: What was assumed when the data set was opened.
        left_out: What the data set's folder holds, but is not used, one or two sentences per reason.
        leaks: Images and patients that the split shares with the splits before it, one sentence each.
        unknown_runs: Names of the runs from which the run, or one that it is averaged with, learned, and
            whose images are not all known.
    """

    LEFT_OUT = frozenset({"unknown_runs"})

    folder: str
    name: str
    layout: str
    split: Split
    samples: int = Field(ge=0)
    ids_sha256: str
    assumptions: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    unknown_runs: tuple[str, ...] = ()


class EvaluatedModelFile(Record):
    """The model file that an engine computed.

    Attributes:
        name: Its name in the run folder, such as "model.onnx".
        sha256: SHA-256 of the file. It belongs to the weights of the run; engines refuse other ones.
    """

    name: str
    sha256: str


class Execution(Record):
    """How to repeat the evaluation.

    Attributes:
        command: The command line that does the same.
        flip_average: Whether each image and its mirror image were averaged.
        average_with: Further runs whose answers were averaged.
        average_with_sha256: SHA-256 of the weights of each of them; empty in files of version 0.1.0.
        seed: Seed of the bootstrap.
        resamples: Number of bootstrap draws.
        date: ISO date and time, UTC.
        seconds: Duration.
        engine: What computed the (first) network; None in files of versions that had torch only.
        model_file: The file that it computed; None where it computed from the weights of the run, and in
            files of version 0.1.0.
        versions: Version of Python and of each package, by name.
        machine: Operating system and number of CPUs.
    """

    command: str
    flip_average: bool
    average_with: tuple[str, ...]
    average_with_sha256: tuple[str, ...] = ()
    seed: int
    resamples: int
    date: str
    seconds: float
    engine: str | None = None
    model_file: EvaluatedModelFile | None = None
    versions: dict[str, str]
    machine: str


class Metrics(ScoreSummary, FileRecord):
    """The content of `metrics.json`.

    Attributes:
        split: The split that was scored.
        units: Unit of HD95 and of the tolerance.
        tolerance: Boundary error that surface Dice forgives, in `units`.
        class_names: Name per label; index 0 is the background.
        side: Whose left is meant in every word; "unknown" for sentences of a sheet whose side nothing states.
        reference_words: Where reference words come from; None for a run without words.
        retrieval: Retrieval scores by factor; empty for a run without words.
        calibration: How true the probabilities are.
        in_sample: Which figures are no estimate for new images; None if all are.
        failed: Cases that could not be scored; no score includes them.
        run: The run.
        data: The data.
        execution: How to repeat the evaluation.
    """

    split: Split
    units: Literal["mm", "px"]
    tolerance: float = Field(ge=0)
    class_names: tuple[str, ...]
    side: ShownSide
    reference_words: ReferenceKind | None
    retrieval: dict[str, RetrievalScores]
    calibration: CalibrationMetrics
    in_sample: str | None
    failed: tuple[FailedCase, ...]
    run: EvaluatedRun
    data: EvaluatedData
    execution: Execution

    @property
    def unfinished(self) -> str | None:
        """What the scores are of where the training of the run is not finished; else None."""
        return self.run.manifest.training.unfinished(self.run.folder)

    @property
    def unknown_images(self) -> str | None:
        """What the scores are worth where not all images that the run has learned are known; else None."""
        then = f"The scores say nothing if images of the {self.split} split are among them."
        return unknown_images(self.data.unknown_runs, then) if self.data.unknown_runs else None
