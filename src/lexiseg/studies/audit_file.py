"""The content of `audit.json` and `settings.json`: typed records, whose fields have the names of the keys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from lexiseg.data.sample import Split
from lexiseg.evaluation.comparison.comparison_file import ExtremeCases
from lexiseg.evaluation.scores.metrics_file import CalibrationMetrics, ConfusionMatrix, Interval, MeanScore
from lexiseg.json_records import FileRecord, Record
from lexiseg.words.description import ShownSide

#: The verdict on a comparison, or on a model.
Verdict = Literal["gain", "harm", "no measurable gain", "undecided", "undertrained"]

#: What an interval or a test is over: patients where they are known, else images.
Unit = Literal["patients", "images"]


class ArmComparison(Record):
    """One arm against another, in one group of cases; differences are in Dice.

    Attributes:
        model: The model.
        arm: The arm.
        against: The arm that it is compared with.
        group: "all", or a stratum of the cases.
        n: Number of cases.
        mean: Mean difference over cases and seeds.
        over: What intervals and test are over, `unit` below: patients where they are known, else images.
        ci95: Its 95 % interval over units and seeds; None with one seed or one unit, which says nothing of
            others.
        ci95_trained: Its 95 % interval over units alone: of these trained models, not of the arms; None with
            one unit.
        by_seed: Mean difference per seed.
        p_value: Wilcoxon signed-rank test over units, of their mean differences over the seeds.
        p_holm: The p-value adjusted over all comparisons of its family.
        ranks: Rank-biserial correlation, -1..1: share of the ranks that favour the arm minus the rest.
        better: Number of cases where the arm is better, in the mean over seeds.
        worse: Number of cases where it is worse.
    """

    model: str
    arm: str
    against: str
    group: str
    n: int
    mean: float
    over: Unit
    ci95: Interval | None
    ci95_trained: Interval | None
    by_seed: tuple[float, ...]
    p_value: float = Field(ge=0, le=1)
    p_holm: float = Field(ge=0, le=1)
    ranks: float = Field(ge=-1, le=1)
    better: int
    worse: int


class JudgedComparison(ArmComparison):
    """A comparison with its verdict.

    Attributes:
        verdict: The verdict.
        words: The verdict as a sentence, with the size of the effect.
    """

    verdict: Verdict
    words: str


class ModelVerdict(Record):
    """The verdict on one model.

    Attributes:
        model: The model.
        kind: The verdict.
        words: The verdict as sentences.
    """

    model: str
    kind: Verdict
    words: str


class SeededScore(MeanScore):
    """A mean over cases and seeds, with its interval over patients, or images if no patient is known.

    Attributes:
        by_seed: Mean per seed.
    """

    by_seed: tuple[float, ...]


class PooledScore(Record):
    """A pooled score, mean over seeds.

    Attributes:
        mean: Mean over the seeds, 0..1.
        by_seed: The score per seed, 0..1.
    """

    mean: float
    by_seed: tuple[float, ...]


class FactorAccuracy(Record):
    """How well an arm retrieves one factor.

    Attributes:
        title: The factor's title.
        accuracy: Mean accuracy over the seeds, 0..1.
        majority: Accuracy of the training split's most frequent phrase, 0..1; None without a training split.
    """

    title: str
    accuracy: float
    majority: float | None


class TrainingEvidence(Record):
    """The calibration and the retrieved words of one training.

    Attributes:
        seed: Its seed.
        side: Whose left is meant in every word; "unknown" for sentences of a sheet whose side nothing states.
        calibration: How true its probabilities are.
        confusions: Retrieved phrases against their references, by factor with a known reference.
    """

    seed: int
    side: ShownSide
    calibration: CalibrationMetrics
    confusions: dict[str, ConfusionMatrix]


class ArmSummary(Record):
    """One arm of one model, over all cases and seeds.

    Attributes:
        model: The model.
        arm: The arm's name.
        title: The arm's title.
        changes: Fields of the configuration that make the arm what it is.
        dice: Dice, mean of cases.
        pooled_dice: Dice of the pixels of all cases together.
        retrieval: Accuracy by factor with a known reference.
        undertrained: Why the arm has not learned enough to be compared; None if it has.
        steps: Number of steps per seed.
        minutes: Minutes of training per seed, those of teachers included.
        report_files: The report of each training, from the audit's folder.
        first_seed: Calibration and words of the training with the first seed.
    """

    model: str
    arm: str
    title: str
    changes: dict[str, JsonValue]
    dice: SeededScore
    pooled_dice: PooledScore
    retrieval: dict[str, FactorAccuracy]
    undertrained: str | None
    steps: tuple[int, ...]
    minutes: tuple[float, ...]
    report_files: tuple[str, ...]
    first_seed: TrainingEvidence


class PairDifferences(Record):
    """The difference of every case between two arms, mean over seeds.

    Attributes:
        model: The model.
        arm: The arm.
        against: The arm that it is compared with.
        values: Difference in Dice per case, in the order of `CaseDifferences.ids`.
        most: The cases that gained or lost most.
    """

    model: str
    arm: str
    against: str
    values: tuple[float, ...]
    most: ExtremeCases


class CaseDifferences(Record):
    """How much true words changed the Dice of each case, against the arm without words.

    Attributes:
        ids: The cases.
        sizes: Share of each image that is lesion, 0..1.
        pairs: The differences per model and arm with true words.
    """

    ids: tuple[str, ...]
    sizes: tuple[float, ...]
    pairs: tuple[PairDifferences, ...]


class CaseError(Record):
    """A case that could not be scored in some arm.

    Attributes:
        id: The case.
        error: Why it could not be scored.
    """

    id: str
    error: str


class Tercile(Record):
    """One size stratum of the cases.

    Attributes:
        name: "small", "medium", "large", or "no lesion".
        share: Range of the true lesion's share of the image, `(low, high)`, each 0..1.
        n: Number of cases.
    """

    name: str
    share: tuple[float, float]
    n: int


class AuditCases(Record):
    """The cases of an audit.

    Attributes:
        split: The split that the arms are compared on.
        n: Number of cases.
        patients: Number of known patients; None if no patient is known.
        few_cases: What is to be said of the intervals of so few patients or images; None from 30 on.
        constant_dice: Mean Dice of the best mask that is the same for all images, 0..1.
        failed: Cases that could not be scored.
        terciles: The size strata.
    """

    split: Split
    n: int
    patients: int | None
    few_cases: str | None
    constant_dice: float = Field(ge=0, le=1)
    failed: tuple[CaseError, ...]
    terciles: tuple[Tercile, ...]


class SharedData(Record):
    """The data that all trainings of an audit share.

    Attributes:
        name: The data set's name.
        samples: Number of images per split.
        ids_sha256: SHA-256 of the sample ids per split.
        without_mask: Number of training images without mask, hidden masks included.
        leaks: Images and patients that the splits share, one sentence each, if the user insisted on using
            them.
    """

    name: str
    samples: dict[Split, int]
    ids_sha256: dict[Split, str]
    without_mask: int
    leaks: tuple[str, ...] = ()


class SharedTraining(BaseModel):
    """The configuration that all trainings of an audit share, without the fields in which they differ.

    Attributes:
        epochs: Passes over the training images; None if something else sets the length.
        steps: Steps; None if something else sets the length.
        max_minutes: Minutes; None if something else sets the length.
        image_size: Height and width in pixels; None: 224.
        masks: Share of the training masks that are used, 0..1; None: all.
    """

    # The other fields of the configuration depend on the system.
    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    epochs: int | None
    steps: int | None
    max_minutes: float | None
    image_size: int | None
    masks: float | None


class SharedSettings(Record):
    """The content of `settings.json`: what all trainings of an audit share.

    Attributes:
        format_version: Rises when trainings of before must not be compared with those of now. Version 3:
            fields that not all systems of the audit have are in `training_of_model`.
        data: The data.
        limit: Number of training images that were kept; None: all.
        training: The configuration that all systems share.
        training_of_model: Further fields of the configuration of a system, by its name.
    """

    format_version: int = 3
    data: SharedData
    limit: int | None
    training: SharedTraining
    training_of_model: dict[str, dict[str, JsonValue]]


class AuditExecution(Record):
    """How to repeat an audit.

    Attributes:
        command: The command line that does the same.
        date: ISO date and time, UTC.
        resamples: Number of bootstrap draws.
        versions: Version of Python and of each package, by name.
        machine: Operating system and number of CPUs of the machine that compared the arms.
        trained_on: Processors that trained the arms.
        trained_by: Versions of Lexiseg that trained the arms.
        training_minutes: Minutes of training of all arms together, those of teachers included.
    """

    command: str
    date: str
    resamples: int
    versions: dict[str, str]
    machine: str
    trained_on: tuple[str, ...]
    trained_by: tuple[str, ...]
    training_minutes: float


class AuditResult(FileRecord):
    """The content of `audit.json`.

    Attributes:
        verdicts: The verdict on each model.
        rule: The rule that the verdicts follow.
        arms: The arms, one entry per model and arm.
        comparisons: All comparisons, over all cases and in every stratum.
        differences: The difference of every case.
        cases: The cases.
        seeds: Number of seeds per arm.
        shuffled_words_of: The arm whose words the arm "shuffled" gives to other images; None without it.
        settings: What all trainings share.
        execution: How to repeat the audit.
    """

    verdicts: tuple[ModelVerdict, ...]
    rule: str
    arms: tuple[ArmSummary, ...]
    comparisons: tuple[JudgedComparison, ...]
    differences: CaseDifferences
    cases: AuditCases
    seeds: int = Field(ge=1)
    shuffled_words_of: str | None
    settings: SharedSettings
    execution: AuditExecution
