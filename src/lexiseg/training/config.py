"""The configuration of a training: every choice in one place, checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lexiseg.describing.description_file import SUFFIX
from lexiseg.errors import UsageError
from lexiseg.models.spec import PUBLISHED_CLIPSEG, Model, Preset
from lexiseg.training.config_problems import problem

#: The resolved configuration in a run folder.
CONFIG_FILE = "config.yaml"

TEXT_CHOICES = ("auto", "reports", "concepts", "none")
Precision = Literal["auto", "fp32", "bf16"]
Teach = Literal["both", "sentence", "pseudo_word", "none"]
Unmasked = Literal["words", "pseudo_labels", "leave_out"]

_LENGTHS = ("epochs", "max_minutes", "steps")


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentConfig(_Config):
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
    """

    horizontal_flip: float = Field(default=0.5, ge=0, le=1)
    vertical_flip: float = Field(default=0.0, ge=0, le=1)
    affine: float = Field(default=0.9, ge=0, le=1)
    max_angle_deg: float = Field(default=12.0, ge=0, le=45)
    max_scale: float = Field(default=0.15, ge=0, le=0.5)
    max_shift: float = Field(default=0.06, ge=0, le=0.3)
    gamma: float = Field(default=0.25, ge=0, le=0.9)
    brightness: float = Field(default=0.12, ge=0, le=0.5)


class TrainConfig(_Config):
    """Everything a training depends on besides the data.

    Attributes:
        model: The published system to follow.
        preset: "compact" (ours) or "paper" (the published network and losses).
        text: Where words come from: "reports" (a sheet), "concepts" (measured from the masks), a description
            file (ending in .jsonl, made by `lexiseg data describe`), "none", or "auto": reports if all
            training and validation images have one, concepts if none has.
        vocabulary: Name or file of the vocabulary; None: the data set's, or the one that reads the sheet.
        encoder: timm encoder of the compact preset.
        text_encoder: Who embeds the phrases: "minilm" (installed) or a Hugging Face name or local path; None:
            the preset's.
        encoder_weights: Start of the image encoder: "imagenet", "none" (random), or a file; for CoTexNet's
            paper preset a CLIPSeg: its name on the hub or a folder. None: "imagenet", and for CoTexNet's
            paper preset the published CLIPSeg, "CIDAS/clipseg-rd64-refined".
        image_size: Height and width in pixels; None: 224.
        epochs: Passes over the training images, those without mask and those left out counted: arms that
            use them differently are equally long. None where `max_minutes` or `steps` sets the length.
        max_minutes: Wall-clock budget, validation included; None where something else sets the length.
        steps: Steps of the optimiser; None where something else sets the length.
        batch_size: Images per step; None: the preset's (16, STPNet as published 24).
        learning_rate: Peak learning rate; None: the preset's.
        weight_decay: AdamW's weight decay; None: the preset's (0.01 compact, 1e-4 CoTexNet as published;
            STPNet as published uses Adam without).
        retrieval_weight: Weight of the retrieval loss (compact).
        teach: What the text embedding that teaches CoTexNet is made of (compact): "both", "sentence",
            "pseudo_word" (from the region of interest), or "none": the image embedding prompts the decoder
            untaught. Without the sentence, words are still read off the image, but shape nothing.
        distillation_weight: Weight of the distillation of text into image embedding (CoTexNet compact; 10 as
            published).
        reference_compat: Whether the cross-entropy gets probabilities where it expects scores, as in the
            published code of CoTexNet (paper).
        ema_decay: Decay of the averaged weights that are validated and saved (compact); 0: no averaging.
        width: Width of retrieval and prompts (compact).
        small_first: Share of the training at 5/7 of the image size, which is twice as fast (compact).
        freeze_early: Whether the encoder's layers up to stride 4 stop learning after that first phase, which
            makes a step at full size a third faster (compact).
        source_weights: How often images of a source (hospital, collection; `data check` lists them) come,
            relative to 1; useful where validation and use come from one of several.
        balance_words: How far images with rare words are drawn more often, 0 (not at all) to 1 (each phrase
            of a factor equally often).
        masks: Share of the training images' masks that are used, above 0 to 1; the others are hidden by the
            seed and never read, patients kept together. None uses all there are.
        unmasked: What training images without mask do (compact): "words": their words teach; "pseudo_labels":
            the averaged network's own confident masks teach, without words; "leave_out": nothing. None:
            "words".
        unmasked_share: Share of each step's images that have no mask; None: their share of the training
            images, at most half.
        unmasked_warmup: Share of the training over which the agreement loss rises to its full weight; pseudo
            labels start after it and rise as long again.
        agreement_weight: Weight of the agreement loss: the predicted mask of an image without mask, measured,
            must fit its words (`unmasked: words`).
        pseudo_weight: Weight of the losses on pseudo labels, against the mask losses, which each weigh 1;
            with `unmasked: words` their words check them.
        pseudo_confidence: Probability from which a pixel of the averaged network's mask is a pseudo label;
            0.5 takes all.
        check_words: Whether words correct and weigh pseudo labels; false takes all as they are
            (`unmasked: words`).
        word_prompts: Share of the images with mask that are decoded under their true phrases, so that the
            averaged network can make its pseudo labels under those of the report (STPNet, `unmasked: words`);
            0: pseudo labels are made without.
        shuffle_words: Whether each training image gets another one's words, by the seed: shows what words
            that are not true buy. Not a model for use.
        augment: Random changes of the training images.
        patience: Stop after this many passes over the data without a better validation Dice; None: never,
            but after 50 for CoTexNet as published.
        val_cases: Validation cases scored after each segment, a seeded choice; all are scored at the end.
        seed: Seed of everything random.
        precision: "fp32", "bf16", or "auto": the faster one in a short probe.
        workers: Processes that load data; None: chosen by cores and memory, 0: none.
        cache: Whether decoded images stay in memory; None: if they fit into half of what is free.
        accelerator: Lightning's accelerator, such as "auto", "cpu", "gpu".
    """

    model: Model = "stpnet"
    preset: Preset = "compact"
    text: str = "auto"
    vocabulary: str | None = None
    encoder: str = "tf_efficientnet_lite0"
    text_encoder: str | None = None
    encoder_weights: str | None = None
    image_size: int | None = None
    epochs: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=2)
    learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float | None = Field(default=None, ge=0)
    retrieval_weight: float = Field(default=0.4, ge=0)
    teach: Teach = "both"
    distillation_weight: float = Field(default=0.2, ge=0)
    reference_compat: bool = False
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    width: int = Field(default=128, ge=8, multiple_of=4)
    small_first: float = Field(default=0.5, ge=0, le=1)
    freeze_early: bool = True
    source_weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    balance_words: float = Field(default=0.0, ge=0, le=1)
    masks: float | None = Field(default=None, gt=0, le=1)
    unmasked: Unmasked | None = None
    unmasked_share: float | None = Field(default=None, gt=0, lt=1)
    unmasked_warmup: float = Field(default=0.15, ge=0, le=0.5)
    agreement_weight: float = Field(default=0.2, ge=0)
    pseudo_weight: float = Field(default=1.0, ge=0)
    pseudo_confidence: float = Field(default=0.5, ge=0.5, lt=1)
    check_words: bool = True
    word_prompts: float = Field(default=0.25, ge=0, le=1)
    shuffle_words: bool = False
    augment: AugmentConfig = AugmentConfig()
    patience: int | None = Field(default=None, ge=1)
    val_cases: int = Field(default=480, ge=1)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    precision: Precision = "auto"
    workers: int | None = Field(default=None, ge=0)
    cache: bool | None = None
    accelerator: str = "auto"

    @model_validator(mode="before")
    @classmethod
    def _length(cls, value: Any) -> Any:
        """Give a training a length: 40 epochs unless epochs, minutes or steps are set."""
        if isinstance(value, dict):
            given = [name for name in _LENGTHS if value.get(name) is not None]
            if len(given) > 1:
                raise ValueError(
                    f"{', '.join(_LENGTHS)}: expected only one of them; got {' and '.join(given)}"
                )
            if not given:
                return {**value, "epochs": 40}
        return value

    @field_validator("text", mode="before")
    @classmethod
    def _choice_or_file(cls, value: Any) -> Any:
        text = str(value) if isinstance(value, str | Path) else ""
        if text not in TEXT_CHOICES and not text.endswith(SUFFIX):
            raise ValueError(
                f"expected {', '.join(TEXT_CHOICES)} or the path of a description file ending in {SUFFIX}; "
                f"got {value!r}"
            )
        # Absolute, as a run is also resumed, and its configuration used, from other folders.
        return text if text in TEXT_CHOICES else str(Path(text).absolute())

    @property
    def paper(self) -> bool:
        """Whether this is the published network with its published optimiser."""
        return self.preset == "paper"

    @property
    def size(self) -> int:
        """Height and width of the images the network sees."""
        return self.image_size or 224

    @property
    def batch(self) -> int:
        """Images per step."""
        return self.batch_size or (24 if self.paper and self.model == "stpnet" else 16)

    @property
    def peak_learning_rate(self) -> float:
        """The peak learning rate: the published 3e-4 for the paper preset, 1e-3 for the compact one."""
        return self.learning_rate or (3e-4 if self.paper else 1e-3)

    @property
    def decay(self) -> float:
        """AdamW's weight decay."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 1e-4 if self.paper else 0.01

    @property
    def patience_epochs(self) -> int | None:
        """Passes over the data without a better validation Dice after which the training stops."""
        return self.patience or (50 if self.paper and self.model == "cotexnet" else None)

    @property
    def start_weights(self) -> str:
        """What the image encoder starts from."""
        return self.encoder_weights or (
            PUBLISHED_CLIPSEG if self.paper and self.model == "cotexnet" else "imagenet"
        )

    @property
    def phrase_encoder(self) -> str:
        """Who embeds phrases and sentences."""
        published = self.paper and self.model == "stpnet"
        return self.text_encoder or ("emilyalsentzer/Bio_ClinicalBERT" if published else "minilm")


def make_config(options: dict[str, Any], file: str | Path | None = None) -> TrainConfig:
    """Merge a YAML file with options; options given explicitly win.

    Args:
        options: Field values; those that are None count as not given.
        file: YAML file with field values.

    Raises:
        UsageError: The file cannot be read, or a field is unknown or impossible.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values: dict[str, Any] = _read_yaml(Path(file)) if file is not None else {}
    if given.keys() & set(_LENGTHS):
        values = {name: value for name, value in values.items() if name not in _LENGTHS}
    try:
        return TrainConfig.model_validate({**values, **given})
    except ValidationError as error:
        # The file is blamed for its own values only: an option of the same name has replaced the file's.
        problems = [
            f"{file}: {said}" if file is not None and not _concerns(found["loc"], given) else said
            for found in error.errors()
            for said in [problem(TrainConfig, found)]
        ]
        raise UsageError(f"{'. '.join(problems)}.", code="LEX-USE-069") from error


def _concerns(place: tuple[int | str, ...], given: dict[str, Any]) -> bool:
    """Say whether a problem at a place of the configuration is one of the options given."""
    return place[0] in given if place else not given.keys().isdisjoint(_LENGTHS)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The configuration {file} cannot be read: {error.strerror}.", code="LEX-USE-070"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The configuration {file} is not valid YAML: {error}", code="LEX-USE-071"
        ) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(
            f"The configuration {file} must hold fields such as `seed: 0`, not a {type(value).__name__}.",
            code="LEX-USE-072",
        )
    return value
