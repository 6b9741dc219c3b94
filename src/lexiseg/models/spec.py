"""What a network is, as data: enough to build it again from a run folder."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Model = Literal["stpnet"]
Preset = Literal["compact", "paper"]


class NetworkSpec(BaseModel):
    """The network of a run.

    Attributes:
        model: Which published system it follows.
        preset: "paper": the published network; "compact": ours.
        encoder: timm name of the image encoder (compact), or "resnet101" (paper).
        out_channels: 1 for a binary mask, else one per class with the background first.
        width: Width of retrieval and prompts (compact).
        num_parameters: Parameters of the network, counted when it was built; 0 if not counted yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Model = "stpnet"
    preset: Preset = "compact"
    encoder: str = "tf_efficientnet_lite0"
    out_channels: int = Field(default=1, ge=1)
    width: int = Field(default=128, ge=8, multiple_of=4)
    num_parameters: int = 0
