"""The fields that the compact presets share; no torch is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from lexiseg.systems.configuration import (
    Distillation,
    LoopSettings,
    TrainConfig,
    UnmaskedSettings,
    WithoutEffect,
    absolute_if,
)

_CLIP_NORM = 3.0


class UnmaskedConfig(TrainConfig):
    """The configuration of a system that also learns from images without mask.

    Attributes:
        ema_decay: Decay of the averaged weights that are validated and saved; 0: no averaging.
        unmasked_share: Share of each step's images that have no mask; None: their share of the training
            images, at most half.
        teacher_steps: Steps of each teacher that draws the pseudo labels of images without mask; None: 40
            passes over its masks, at least 300 steps, and at most a quarter of the training's own steps.
        word_map: Whether teachers are told the words of their images through a map of the named zones
            (`unmasked: words`); false: words only exclude halves without a lesion, and weigh the labels.
        pseudo_weight: Weight of the losses on pseudo labels, against the mask losses, which each weigh 1.
    """

    word_fields: ClassVar[frozenset[str]] = TrainConfig.word_fields | {
        "unmasked_share",
        "word_map",
        "teacher_steps",
        "pseudo_weight",
    }

    without_effect: ClassVar[tuple[WithoutEffect, ...]] = (
        *TrainConfig.without_effect,
        WithoutEffect(
            ("unmasked_share", "word_map", "teacher_steps", "pseudo_weight"),
            "unmasked",
            "leave_out",
            "no training image without a mask takes part",
        ),
        WithoutEffect(("word_map",), "unmasked", "pseudo_labels", "`unmasked` is pseudo_labels"),
    )

    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    unmasked_share: float | None = Field(default=None, gt=0, lt=1)
    teacher_steps: int | None = Field(default=None, ge=1)
    word_map: bool = True
    pseudo_weight: float = Field(default=1.0, gt=0)

    @property
    def unmasked_settings(self) -> UnmaskedSettings | None:
        """How the network learns from images without mask."""
        return UnmaskedSettings(
            share=self.unmasked_share,
            teacher_steps=self.teacher_steps,
            word_map=self.word_map,
            pseudo_weight=self.pseudo_weight,
        )


class CompactConfig(UnmaskedConfig):
    """The configuration of a compact preset.

    Attributes:
        encoder: timm encoder.
        encoder_weights: Start of the image encoder: "imagenet", "none" (random), or a file; "none" with
            `start_from`.
        width: Width of retrieval and prompts.
        weight_decay: AdamW's weight decay.
        retrieval_weight: Weight of the retrieval loss.
        small_first: Share of the training at 5/7 of the image size (of `main_size`, if there is one), which
            is twice as fast.
        main_size: Image size of the training between that first phase and the last one, smaller than
            `image_size`; None: `image_size`.
        full_last: Share of the training, at its end, at `image_size`, where there is a `main_size`.
        freeze_early: Whether the encoder's layers up to stride 4 stop learning after the first phase, which
            makes a step at full size a third faster.
        teachers: Folders of finished runs, whose averaged soft masks teach beside the true masks.
        teacher_share: Weight of the loss on these soft masks; that of the losses on the true masks is the
            rest of 1.
    """

    word_fields: ClassVar[frozenset[str]] = UnmaskedConfig.word_fields | {"retrieval_weight"}
    start_fields: ClassVar[Mapping[str, Any]] = {"encoder_weights": "none"}
    without_effect: ClassVar[tuple[WithoutEffect, ...]] = (
        *UnmaskedConfig.without_effect,
        WithoutEffect(("retrieval_weight",), "text", "none", "the training has no words"),
        WithoutEffect(("full_last",), "main_size", None, "there is no `main_size`"),
        WithoutEffect(("teacher_share",), "teachers", (), "`teachers` names no run"),
    )

    encoder: str = "tf_efficientnet_lite0"
    encoder_weights: str = "imagenet"
    width: int = Field(default=128, ge=8, le=4096, multiple_of=4)
    weight_decay: float = Field(default=0.01, ge=0)
    retrieval_weight: float = Field(default=0.4, ge=0)
    small_first: float = Field(default=0.5, ge=0, le=1)
    main_size: int | None = Field(default=None, ge=64, multiple_of=32)
    full_last: float = Field(default=0.15, gt=0, lt=1)
    freeze_early: bool = True
    teachers: tuple[str, ...] = ()
    teacher_share: float = Field(default=0.5, gt=0, le=1)

    @field_validator("teachers", mode="before")
    @classmethod
    def _absolute_teachers(cls, value: Any) -> Any:
        # What is no folder may be the name of a shipped model.
        if not isinstance(value, list | tuple):
            return value
        return tuple(absolute_if(Path.is_dir, name) for name in value)

    @model_validator(mode="after")
    def _phases(self) -> Self:
        if self.main_size is None:
            return self
        if self.main_size >= self.image_size:
            raise ValueError(
                f"main_size: expected a size below image_size ({self.image_size}); got {self.main_size}"
            )
        if self.small_first + self.full_last > 1:
            raise ValueError(
                f"small_first and full_last: expected a sum of at most 1; got "
                f"{self.small_first + self.full_last:g}"
            )
        return self

    @property
    def distillation(self) -> Distillation | None:
        """The finished runs that teach the network; None without any."""
        return Distillation(teachers=self.teachers, share=self.teacher_share) if self.teachers else None

    @property
    def loop(self) -> LoopSettings:
        """How the training loop treats the network."""
        return LoopSettings(
            ema_decay=self.ema_decay,
            small_first=self.small_first,
            main_size=self.main_size,
            full_last=0.0 if self.main_size is None else self.full_last,
            freeze_early=self.freeze_early and self.small_first > 0,
            clip_norm=_CLIP_NORM,
        )
