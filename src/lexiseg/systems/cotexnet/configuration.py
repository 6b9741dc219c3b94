"""The configurations of CoTexNet's presets."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.configuration import TrainConfig, WithoutEffect

#: The CLIPSeg of the publication, on the Hugging Face hub.
PUBLISHED_CLIPSEG = "CIDAS/clipseg-rd64-refined"

Teach = Literal["both", "sentence", "pseudo_word", "none"]


class CompactCoTexNetConfig(CompactConfig):
    """The configuration of the compact CoTexNet.

    Attributes:
        teach: What the text embedding that teaches the network is made of: "both", "sentence", "pseudo_word"
            (from the region of interest), or "none": the image embedding prompts the decoder without a
            teacher. Without the sentence, the network still predicts words, but they shape nothing else.
        distillation_weight: Weight of the distillation of text into image embedding (10 as published).
    """

    word_fields: ClassVar[frozenset[str]] = CompactConfig.word_fields | {"teach", "distillation_weight"}

    without_effect: ClassVar[tuple[WithoutEffect, ...]] = (
        *CompactConfig.without_effect,
        WithoutEffect(("teach", "distillation_weight"), "text", "none", "the training has no words"),
        WithoutEffect(("distillation_weight",), "teach", "none", "`teach` is none"),
    )

    model: Literal["cotexnet"] = "cotexnet"
    preset: Literal["compact"] = "compact"
    teach: Teach = "both"
    distillation_weight: float = Field(default=0.2, ge=0)

    @property
    def embeds_sentences(self) -> bool:
        """Whether each step needs the text encoder, for the sentences of its images."""
        return self.teach != "none"


class PaperCoTexNetConfig(TrainConfig):
    """The configuration of the published CoTexNet.

    Attributes:
        encoder_weights: The CLIPSeg to start from: its name on the Hugging Face hub, or a folder.
        weight_decay: AdamW's weight decay.
        reference_compat: Whether the cross-entropy gets probabilities where it expects scores, as in the
            published code.
    """

    model: Literal["cotexnet"] = "cotexnet"
    preset: Literal["paper"] = "paper"
    unmasked: Literal["leave_out"] | None = None
    learning_rate: float = Field(default=3e-4, gt=0)
    patience: int | None = Field(default=50, ge=1)
    encoder_weights: str = PUBLISHED_CLIPSEG
    weight_decay: float = Field(default=1e-4, ge=0)
    reference_compat: bool = False
