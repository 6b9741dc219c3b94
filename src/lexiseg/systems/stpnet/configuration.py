"""The configurations of STPNet's presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.configuration import TrainConfig

#: The text encoder of the publication.
PUBLISHED_TEXT_ENCODER = "emilyalsentzer/Bio_ClinicalBERT"


class CompactStpNetConfig(CompactConfig):
    """The configuration of the compact STPNet."""

    model: Literal["stpnet"] = "stpnet"
    preset: Literal["compact"] = "compact"


class PaperStpNetConfig(TrainConfig):
    """The configuration of the published STPNet.

    Attributes:
        encoder_weights: Start of the ResNet-101: "imagenet", "none" (random), or a file; "none" with
            `start_from`.
    """

    start_fields: ClassVar[Mapping[str, Any]] = {"encoder_weights": "none"}

    model: Literal["stpnet"] = "stpnet"
    preset: Literal["paper"] = "paper"
    unmasked: Literal["leave_out"] | None = None
    text_encoder: str = PUBLISHED_TEXT_ENCODER
    batch_size: int = Field(default=24, ge=2)
    learning_rate: float = Field(default=3e-4, gt=0)
    encoder_weights: str = "imagenet"
