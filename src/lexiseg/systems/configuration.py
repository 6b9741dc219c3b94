"""The configuration of a training: the fields that every system has.

Each system adds a class with its own fields and defaults, so a field that a system does not have cannot be
given. This module imports neither torch nor transformers: the command line reads it for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lexiseg.words.description import DESCRIPTIONS_SUFFIX

TEXT_CHOICES = ("auto", "reports", "concepts", "none")
Precision = Literal["auto", "fp32", "bf16"]
Unmasked = Literal["words", "pseudo_labels", "leave_out"]
Selection = Literal["best", "size_standardised_dice", "last"]
CurveLogger = Literal["tensorboard", "mlflow", "wandb", "none"]
FitChoice = Literal["auto", "stretch", "pad", "tiles"]

#: Fields that set the length of a training; one of them is given at most.
LENGTHS = ("epochs", "max_minutes", "steps")


#: Values of fields that else hold paths; files and folders of these names are not meant.
_NAMES = ("minilm", "imagenet", "none")


def absolute_if(is_meant: Callable[[Path], bool], value: Any) -> Any:
    """Return a path as an absolute one, as a run is also resumed, and its configuration used, elsewhere.

    Args:
        is_meant: Whether a path is that of a file or folder that there is; else the value is a name.
        value: The value of a field.

    Returns:
        The value as it is where it is a name, or no text at all.
    """
    if not isinstance(value, str | Path) or not str(value):
        return value
    try:
        path = Path(value).expanduser()
        return str(path.absolute()) if is_meant(path) else str(value)
    except (OSError, RuntimeError):  # a folder that may not be searched, or the home of an unknown user
        return str(value)


class WithoutEffect(NamedTuple):
    """Fields that have no effect where another field has a certain value.

    Attributes:
        fields: The fields.
        other: The other field.
        value: Its value.
        why: Why they have no effect then, as a part of a sentence.
    """

    fields: tuple[str, ...]
    other: str
    value: object
    why: str


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Where fields have no effect; see `lexiseg.training.idle_settings`.
    without_effect: ClassVar[tuple[WithoutEffect, ...]] = ()


class AugmentConfig(_Fields):
    """Random changes of the training images; each keeps the words true.

    Attributes:
        horizontal_flip: Probability of mirroring left and right (with the words).
        vertical_flip: Probability of mirroring upper and lower (with the words).
        affine: Probability of a small rotation, scaling and shift.
        max_angle_deg: Largest rotation in degrees.
        max_scale: Largest relative change of size.
        max_shift: Largest shift as a share of the image.
        gamma: Largest relative change of gamma, contrast.
        brightness: Largest shift of brightness as a share of the range.
        elastic: Probability of a smooth deformation.
        max_displacement: Largest movement of a pixel by it, along each axis, as a share of the image;
            a larger one could fold it.
        noise: Probability of Gaussian noise, independent per pixel.
        max_noise: Its largest standard deviation as a share of the range.
        cutout: Probability that a rectangle of the image, not of the mask, is filled with the image's mean.
        max_cutout: Its largest side as a share of the image.
    """

    without_effect: ClassVar[tuple[WithoutEffect, ...]] = (
        WithoutEffect(("max_angle_deg", "max_scale", "max_shift"), "affine", 0, "`augment.affine` is 0"),
        WithoutEffect(("max_displacement",), "elastic", 0, "`augment.elastic` is 0"),
        WithoutEffect(("max_noise",), "noise", 0, "`augment.noise` is 0"),
        WithoutEffect(("max_cutout",), "cutout", 0, "`augment.cutout` is 0"),
    )

    horizontal_flip: float = Field(default=0.5, ge=0, le=1)
    vertical_flip: float = Field(default=0.0, ge=0, le=1)
    affine: float = Field(default=0.9, ge=0, le=1)
    max_angle_deg: float = Field(default=12.0, ge=0, le=45)
    max_scale: float = Field(default=0.15, ge=0, le=0.5)
    max_shift: float = Field(default=0.06, ge=0, le=0.3)
    gamma: float = Field(default=0.25, ge=0, le=0.9)
    brightness: float = Field(default=0.12, ge=0, le=0.5)
    elastic: float = Field(default=0.0, ge=0, le=1)
    max_displacement: float = Field(default=0.02, ge=0, le=0.04)
    noise: float = Field(default=0.0, ge=0, le=1)
    max_noise: float = Field(default=0.04, ge=0, le=0.5)
    cutout: float = Field(default=0.0, ge=0, le=1)
    max_cutout: float = Field(default=0.2, ge=0, le=1)


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How the training loop treats a network.

    Attributes:
        ema_decay: Decay of the averaged weights that are validated and saved, 0..1; 0: no averaging.
        small_first: Share of the training at the smaller size of `small_size`, 0..1.
        main_size: Image size between the first and the last phase; None: the full one.
        full_last: Share of the training, at its end, at the full image size, 0..1; used with `main_size`.
        freeze_early: Whether the layers of `network.encoder` up to stride 4 stop learning after the first
            phase.
        clip_norm: Largest norm of the gradients; larger ones are scaled down. None: no limit.
    """

    ema_decay: float = 0.0
    small_first: float = 0.0
    main_size: int | None = None
    full_last: float = 0.0
    freeze_early: bool = False
    clip_norm: float | None = None

    def size(self, share: float, image_size: int) -> int:
        """Return the image size of a step in pixels.

        Args:
            share: Share of the training that is done, 0..1.
            image_size: The full image size.
        """
        main = self.main_size or image_size
        if share < self.small_first:
            return small_size(main)
        return main if share < 1 - self.full_last else image_size

    def sizes(self, image_size: int) -> set[int]:
        """Return all image sizes of a training in pixels, given the full one."""
        phases = (0.0, self.small_first, 1 - self.full_last, 1.0)
        return {self.size(share, image_size) for share in phases}


@dataclass(frozen=True, kw_only=True)
class UnmaskedSettings:
    """How a network learns from images without mask.

    Attributes:
        share: Share of each step's images that have no mask; None: their share of the training images, at
            most half.
        teacher_steps: Steps of each teacher that draws pseudo labels; None: chosen by the images with a mask.
        word_map: Whether teachers are told the words of their images through a map of the named zones.
        pseudo_weight: Weight of the losses on pseudo labels, against the mask losses, which each weigh 1.
    """

    share: float | None
    teacher_steps: int | None
    word_map: bool
    pseudo_weight: float


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """The finished runs whose soft masks teach beside the true masks.

    Attributes:
        teachers: Their folders or names, at least one.
        share: Weight of the loss on their soft masks, 0..1; that of the losses on the true masks is the rest.
    """

    teachers: tuple[str, ...]
    share: float


class TrainConfig(_Fields):
    """What every training depends on besides the data; the class of each system adds its own fields.

    Attributes:
        model: Name of the system.
        preset: Preset of the system: "paper" is the published network with its losses, "compact" is smaller
            and trains on a CPU.
        start_from: The finished run, or the model that comes with Lexiseg, whose weights the training starts
            from; None: the weights that the preset starts from.
        text: Where words come from: "reports" (a sheet), "concepts" (measured from the masks), a description
            file (ending in .jsonl, made by `lexiseg data describe`), "none", or "auto": reports if all
            training and validation images have one, concepts if none has.
        vocabulary: Name or file of the vocabulary; None: the data set's, or the one that reads the sheet.
        text_encoder: Text encoder of the phrases: "minilm" (installed), or a Hugging Face name or local path.
        image_size: Height and width in pixels of the pictures that the network sees.
        fit: How an image fits such a picture: "stretch": it is resized to it; "pad": it is resized with its
            aspect ratio kept; "tiles": windows of this size slide over it at its own pixels; "auto": the one
            that the sizes of images and lesions suggest. docs/training.md says how each works.
        epochs: Passes over the training images. Images without mask and images that are left out count too,
            so trainings that use them differently are equally long. None where `max_minutes` or `steps` sets
            the length.
        max_minutes: Wall-clock budget of the steps and of the validations between them; the last validation
            comes on top. None where something else sets the length.
        steps: Steps, of one batch each; None where something else sets the length.
        batch_size: Images per step.
        learning_rate: Peak learning rate.
        source_weights: How often images of a source (hospital, collection; `data check` lists them) come,
            relative to 1; useful where validation and use come from one of several.
        balance_words: How far images with rare words are drawn more often, 0 (not at all) to 1 (each phrase
            of a factor equally often).
        masks: Share of the training images' masks that are used, above 0 to 1; the others are hidden by the
            seed and never read, patients kept together. None uses all there are.
        unmasked: What training images without mask do: "words": masks that a teacher draws for them teach,
            with their words; "pseudo_labels": the same without words; "leave_out": nothing. None: "words" if
            cross-validation on the masks shows that words make better masks, else "leave_out". A system that
            learns from masks only takes "leave_out" alone.
        shuffle_words: Whether each training image gets another one's words, by the seed. It shows what words
            that are not true contribute. Not a model for use.
        allow_leak: Whether to train although splits share images or patients; the run and all results say so.
        augment: Random changes of the training images.
        patience: Stop after this many passes over the data without a better validation Dice; None: never.
        selection: Which weights are saved: "best": those with the best validation Dice;
            "size_standardised_dice": those with the best validation Dice after small, medium and large
            lesions weigh as in the training split; "last": those of the last step. None: "last" where pseudo
            labels teach, as there are few masks to select on, else "best".
        val_cases: Validation cases scored after each segment, a seeded choice; all are scored at the end.
            With tiles, as many pictures, at least 8 cases.
        seed: Seed of everything random.
        precision: "fp32", "bf16", or "auto": the faster one in a short probe.
        workers: Processes that load data; None: chosen by cores and memory, 0: none.
        cache: Whether decoded images stay in memory; None: if they fit into half of what is free.
        accelerator: Lightning's accelerator, such as "auto", "cpu", "gpu".
        devices: Processes on this machine that share each batch, each with a device or, on the CPU, some
            cores. A launcher such as torchrun decides itself.
        accumulate: Steps whose gradients are added up before the weights change: a batch of `batch_size`
            times as many images, in the memory of one.
        logger: Where the curves are logged besides `history.csv`: "tensorboard", "mlflow", "wandb" (Weights &
            Biases), or "none".
    """

    #: The fields about words and about images without mask: the arms of an audit may differ in them alone.
    word_fields: ClassVar[frozenset[str]] = frozenset({"text", "shuffle_words", "unmasked"})
    #: The only values of fields that say nothing where `start_from` names a run, as its weights come last.
    start_fields: ClassVar[Mapping[str, Any]] = {}
    without_effect: ClassVar[tuple[WithoutEffect, ...]] = (
        WithoutEffect(("vocabulary", "text_encoder"), "text", "none", "the training has no words"),
    )

    model: str
    preset: str
    start_from: str | None = None
    text: str = "auto"
    vocabulary: str | None = None
    text_encoder: str = "minilm"
    image_size: int = 224
    fit: FitChoice = "stretch"
    epochs: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    source_weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    balance_words: float = Field(default=0.0, ge=0, le=1)
    masks: float | None = Field(default=None, gt=0, le=1)
    unmasked: Unmasked | None = None
    shuffle_words: bool = False
    allow_leak: bool = False
    augment: AugmentConfig = AugmentConfig()
    patience: int | None = Field(default=None, ge=1)
    selection: Selection | None = None
    val_cases: int = Field(default=480, ge=1)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    precision: Precision = "auto"
    workers: int | None = Field(default=None, ge=0)
    cache: bool | None = None
    accelerator: str = "auto"
    devices: int = Field(default=1, ge=1)
    accumulate: int = Field(default=1, ge=1)
    logger: CurveLogger = "tensorboard"

    @model_validator(mode="before")
    @classmethod
    def _length(cls, value: Any) -> Any:
        """Give a training a length: 40 epochs unless epochs, minutes or steps are set."""
        if isinstance(value, dict):
            given = [name for name in LENGTHS if value.get(name) is not None]
            if len(given) > 1:
                raise ValueError(
                    f"{', '.join(LENGTHS)}: expected only one of them; got {' and '.join(given)}"
                )
            if not given:
                return {**value, "epochs": 40}
        return value

    @field_validator("text", mode="before")
    @classmethod
    def _choice_or_file(cls, value: Any) -> Any:
        text = str(value) if isinstance(value, str | Path) else ""
        if text not in TEXT_CHOICES and not text.endswith(DESCRIPTIONS_SUFFIX):
            raise ValueError(
                f"expected {', '.join(TEXT_CHOICES)} or the path of a description file ending in "
                f"{DESCRIPTIONS_SUFFIX}; got {value!r}"
            )
        # Also a file that is not there: it can be no name.
        return text if text in TEXT_CHOICES else str(Path(text).absolute())

    @field_validator("vocabulary", mode="before")
    @classmethod
    def _absolute_vocabulary(cls, value: Any) -> Any:
        # As in `load_vocabulary`: a folder "chest" is not the vocabulary of this name.
        return absolute_if(lambda path: path.suffix.lower() in {".yaml", ".yml"} and path.is_file(), value)

    @field_validator("start_from", mode="before")
    @classmethod
    def _absolute_start(cls, value: Any) -> Any:
        # What is no folder may be the name of a shipped model.
        return absolute_if(Path.is_dir, value)

    @field_validator("text_encoder", mode="before")
    @classmethod
    def _absolute_text_encoder(cls, value: Any) -> Any:
        return value if value in _NAMES else absolute_if(Path.is_dir, value)

    @field_validator("encoder_weights", mode="before", check_fields=False)
    @classmethod
    def _absolute_weights(cls, value: Any) -> Any:
        return value if value in _NAMES else absolute_if(Path.exists, value)

    @property
    def loop(self) -> LoopSettings:
        """How the training loop treats the network."""
        return LoopSettings()

    @property
    def unmasked_settings(self) -> UnmaskedSettings | None:
        """How the network learns from images without mask; None: it learns from masks only."""
        return None

    @property
    def distillation(self) -> Distillation | None:
        """The finished runs that teach the network; None without any."""
        return None

    @property
    def embeds_sentences(self) -> bool:
        """Whether each step needs the text encoder, for the sentences of its images."""
        return False


def small_size(image_size: int) -> int:
    """Return the image size of a training's first phase: 5/7 of the full one, a multiple of 32.

    224 px give 160 px; the result is at least 64 px.
    """
    return max(64, round(image_size * 5 / 7 / 32) * 32)
