"""The manifest of a run folder, `run.json`: what the network is, its words, its data and its training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from lexiseg.data.image_fit import Fit
from lexiseg.errors import RunError
from lexiseg.extras import upgrade_hint
from lexiseg.json_records import PartlyWritten, Record, reason
from lexiseg.models.spec import NetworkSpec
from lexiseg.printable import command_word
from lexiseg.structured_text import read_json
from lexiseg.systems.registry import system_of
from lexiseg.validation import explain
from lexiseg.words.description import Side
from lexiseg.words.vocabulary import Vocabulary

#: Name of the file in the run folder.
MANIFEST_FILE = "run.json"
#: Name of the model card in the run folder: what a person reads about a run.
CARD_FILE = "model_card.md"

#: Version of the run folder's format, and so of the schema of `run.json`. It is raised whenever an older
#: Lexiseg could not read a newer run correctly.
#: 2: the vocabulary may state a language and what its grammar leaves open; the run may state a fit.
FORMAT_VERSION = 2

#: Largest height and width in pixels that a network sees.
MAX_IMAGE_SIZE = 4096

_Mean = Annotated[float, Field(ge=0, le=1)]
_Deviation = Annotated[float, Field(ge=0.001, le=10)]

TextSource = Literal["reports", "concepts", "lmm", "none"]


class DescriptionsRecord(Record):
    """The description file a run was taught with.

    Attributes:
        file: Its absolute path.
        sha256: SHA-256 of its content.
        lines: Number of its lines.
    """

    file: str
    sha256: str
    lines: int


class LabellerRecord(Record):
    """What labellers were worth on the masks, by cross-validation.

    Labellers are the teachers that draw masks for images without mask. Every image with a mask is segmented
    by the one that was not trained on it. The masks are drawn as pseudo labels are: shifted so that they are
    as large as true masks.

    Attributes:
        folds: Number of teachers.
        images: Number of images with a mask that were segmented.
        dice_without_words: Mean Dice of the masks that the same teachers draw from the image alone, 0..1;
            not of teachers that learned without words.
        dice_with_words: Mean Dice of the masks that they draw knowing the words; None without words.
        gain: The second minus the first; None without words.
        gain_ci95: Its 95 % interval over images, or patients where they are known; None without words.
        strength: Weight of the zone atlas in the pseudo labels; 0 where it does not help or there is none.
        strength_without_words: Weight of the atlas for masks that are drawn from the image alone.
        shift: Added to the scores of the classes, so that pseudo labels are as large as true masks.
        used: Whether the pseudo labels teach.
        mean_weight: Mean weight of the pseudo labels: how far they agree with the words, 0..1; None where
            none were drawn.
    """

    folds: int
    images: int
    dice_without_words: float
    dice_with_words: float | None
    gain: float | None
    gain_ci95: tuple[float, float] | None
    strength: float
    strength_without_words: float
    shift: float
    used: bool
    mean_weight: float | None = None


class MasksRecord(PartlyWritten, Record):
    """Which training images had a mask, where not all had.

    Attributes:
        share: Share of the masks that the training used, 0..1; None if it used all there were.
        with_mask: Number of training images with a mask.
        without_mask: Number of training images without a mask that took part.
        left_out: Number of training images without a mask that did not take part.
        unmasked: What images without a mask did: "words", "pseudo_labels" or "leave_out".
        teacher: What the teachers of the pseudo labels were worth; None without.
    """

    share: float | None
    with_mask: int
    without_mask: int
    left_out: int
    unmasked: str
    teacher: LabellerRecord | None = None


class DataRecord(PartlyWritten, Record):
    """The training data of a run. Only what is known and applies is written to the file.

    Attributes:
        name: Name of the data set; None where it is not known, as for published checkpoints.
        layout: How the data set was laid out, such as "folders".
        samples: Number of images per split that the training read.
        descriptions: The description file; None without one.
        masks: Which training images had a mask; None where all had.
        shuffled_words: Whether each training image got another image's words, as in an audit.
        leaks: Images and patients that the splits share, one sentence each, if the user insisted on using
            them.
    """

    name: str | None = None
    layout: str | None = None
    samples: dict[str, int] = Field(default={})
    descriptions: DescriptionsRecord | None = None
    masks: MasksRecord | None = None
    shuffled_words: bool = False
    leaks: tuple[str, ...] = ()


class AtlasSummary(Record):
    """The zone atlas of a run, where it has one.

    Attributes:
        file: Its file in the run folder.
        images: Number of masks that it was made from.
        strength: Weight of its logit correction, fitted on training images.
    """

    file: str
    images: int
    strength: float


class TeacherRunRecord(Record):
    """A finished run that taught another one.

    Attributes:
        name: Name of its folder.
        data: Name of the data set that it was trained on.
        encoder: Its image encoder.
        image_size: Height and width in pixels of the pictures that its network sees.
        weights_sha256: SHA-256 of its weights.
    """

    name: str
    data: str
    encoder: str
    image_size: int
    weights_sha256: str


class DistillationRecord(Record):
    """The finished runs whose averaged soft masks taught a network beside the true masks.

    Attributes:
        teachers: The runs.
        share: Weight of the loss on their soft masks, 0..1; that of the losses on the true masks is the rest.
    """

    teachers: tuple[TeacherRunRecord, ...]
    share: float


class StartRecord(Record):
    """The finished run whose weights a training started from.

    Attributes:
        name: Name of its folder, or of the model that comes with Lexiseg.
        data: Name of the data set that it was trained on; empty where it is not known.
        weights_sha256: SHA-256 of its weights.
        images_known: Whether all images are known that it has learned, so that `image_hashes.json` of this
            run holds them too.
    """

    name: str
    data: str
    weights_sha256: str
    images_known: bool


class ValidationRecord(PartlyWritten, Record):
    """Scores of the selected weights on all validation cases.

    Attributes:
        cases: Number of cases.
        dice: Mean Dice of the cases, 0..1.
        agreement: Mean agreement of retrieved and measured words, 0..1; None without words.
        review_below: Agreement below which a prediction is flagged.
        flagged: Share of the cases that are flagged.
        dice_flagged: Mean Dice of the flagged cases; None if there are none.
        dice_rest: Mean Dice of the other cases; None if there are none.
        dice_size_standardised: Mean Dice after small, medium and large lesions weigh as in the training
            split; None, and not written, where the training did not select by it.
    """

    cases: int
    dice: float
    agreement: float | None
    review_below: float
    flagged: float
    dice_flagged: float | None
    dice_rest: float | None
    dice_size_standardised: float | None = None


class TrainingRecord(PartlyWritten, Record):
    """The training of a run. Only what is known is written to the file.

    Attributes:
        finished: Whether the training, or the conversion, is complete.
        seed: Seed of everything random.
        steps: Number of steps.
        minutes: Wall-clock minutes of the steps and validations, without those of teachers.
        teacher_minutes: Wall-clock minutes before the first step in which teachers were trained and drew
            masks; None without teachers.
        selected_step: Step whose weights were selected.
        selection: Which weights were selected: "best": those with the best validation Dice;
            "size_standardised_dice": the same, standardised by lesion size; "last": those of the last step.
            None for a converted run; runs of early versions do not state it and have the best.
        validation: Scores of the selected weights.
        machine: Processor and number of cores.
        torch: Version of torch.
        command: Command that repeats the training.
        converted_from: File name of the published checkpoint; None for a run that Lexiseg trained.
        sha256: SHA-256 of that checkpoint.
        text_encoder: Text encoder that embedded the phrases of a converted run.
        distillation: The runs that taught it; None without any.
        start: The run whose weights it started from; None where it started from those of its preset.
    """

    finished: bool = False
    seed: int | None = None
    steps: int | None = None
    minutes: float | None = None
    teacher_minutes: float | None = None
    selected_step: int | None = None
    selection: Literal["best", "size_standardised_dice", "last"] | None = None
    validation: ValidationRecord | None = None
    machine: str | None = None
    torch: str | None = None
    command: str | None = None
    converted_from: str | None = None
    sha256: str | None = None
    text_encoder: str | None = None
    distillation: DistillationRecord | None = None
    start: StartRecord | None = None

    def unfinished(self, run: str) -> str | None:
        """Return what is to be said of scores where the training is not finished; None where it is.

        Args:
            run: The folder of the run, as it is shown.
        """
        if self.finished:
            return None
        return (
            f"The training of {run} is not finished: these are scores of weights that it kept on the way. "
            f"`lexiseg train DATA --out {command_word(run)} --resume` finishes it."
        )

    def is_left_out(self, name: str) -> bool:
        """Return whether a field is not written; whether the training is complete always is."""
        return name != "finished" and super().is_left_out(name)


class FinishedTraining(TrainingRecord):
    """A training that Lexiseg finished: everything about it is known; see `TrainingRecord`."""

    finished: Literal[True] = True
    seed: int
    steps: int
    minutes: float
    selected_step: int
    validation: ValidationRecord
    machine: str
    torch: str
    command: str

    @property
    def all_minutes(self) -> float:
        """Wall-clock minutes, those of teachers included."""
        return self.minutes + (self.teacher_minutes or 0.0)


class Manifest(PartlyWritten, Record):
    """Contents of `run.json`.

    Attributes:
        format_version: Version of the run folder's format; it is the schema version of this file too.
        lexiseg_version: Version of Lexiseg that wrote it.
        created: ISO date and time, UTC.
        network: The network.
        image_size: Height and width in pixels of the pictures that the network sees.
        fit: How images fit these pictures (`lexiseg.data.image_fit`); not written where it is "stretch".
        mean: Per channel, 0..1, subtracted after scaling pixels to 0..1.
        std: Per channel, 0.001..10, divided by.
        class_names: Name per label; index 0 is the background.
        text: Where the words of training came from.
        side: Side convention of every word the model retrieves.
        vocabulary: The vocabulary; None with text "none".
        review_below: Predictions whose agreement is below this are flagged; chosen on validation.
        data: The training data.
        training: The training.
        zone_atlas: The zone atlas; None where the words name no places, and in runs of earlier versions.
    """

    LEFT_OUT = frozenset({"fit", "zone_atlas"})

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    lexiseg_version: str
    created: str
    network: NetworkSpec
    image_size: int = Field(ge=1, le=MAX_IMAGE_SIZE)
    fit: Fit = "stretch"
    mean: tuple[_Mean, _Mean, _Mean]
    std: tuple[_Deviation, _Deviation, _Deviation]
    class_names: tuple[str, ...] = Field(min_length=2, max_length=256)
    text: TextSource
    side: Side
    vocabulary: Vocabulary | None
    review_below: float = Field(default=0.0, ge=0, le=2)
    data: DataRecord = DataRecord()
    training: TrainingRecord = TrainingRecord()
    zone_atlas: AtlasSummary | None = None

    @property
    def spoken_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the words that predictions name; None where they name none."""
        return self.vocabulary if system_of(self.network).names_words else None


def read_manifest(folder: Path) -> Manifest:
    """Read `run.json` of a run folder.

    Raises:
        RunError: The file is damaged, or a newer version wrote it.
    """
    file = folder / MANIFEST_FILE
    try:
        value = read_json(file)
        version = int(value["format_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{file} is damaged ({reason(Manifest, error)}). Train the run again, or restore the file.",
            code="LEX-RUN-003",
        ) from error
    if version > FORMAT_VERSION:
        raise RunError(
            f"{folder} was written by a newer Lexiseg ({value.get('lexiseg_version', 'unknown')}, format "
            f"{version}); this version reads formats up to {FORMAT_VERSION}. "
            f"{upgrade_hint()}",
            code="LEX-RUN-004",
        )
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged: {explain(Manifest, error)}. Train the run again, or restore the file.",
            code="LEX-RUN-005",
        ) from error
