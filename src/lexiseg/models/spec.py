"""What a network is, as data: enough to build it again from a run folder."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Model = Literal["stpnet", "cotexnet"]
Preset = Literal["compact", "paper"]

#: The CLIPSeg of CoTexNet's paper, on the Hugging Face hub.
PUBLISHED_CLIPSEG = "CIDAS/clipseg-rd64-refined"


class NetworkSpec(BaseModel):
    """The network of a run.

    Attributes:
        model: Which published system it follows.
        preset: "paper": the published network; "compact": ours.
        encoder: timm name of the image encoder (compact); of the paper presets "resnet101" (STPNet), or the
            name or folder of the CLIPSeg it started from (CoTexNet).
        out_channels: 1 for a binary mask, else one per class with the background first.
        width: Width of retrieval and prompts (compact).
        clipseg: Configuration of the CLIPSeg that CoTexNet's paper preset is built on; None elsewhere.
        num_parameters: Parameters of the network, counted when it was built; 0 if not counted yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Model = "stpnet"
    preset: Preset = "compact"
    encoder: str = "tf_efficientnet_lite0"
    out_channels: int = Field(default=1, ge=1)
    width: int = Field(default=128, ge=8, multiple_of=4)
    clipseg: dict[str, Any] | None = None
    num_parameters: int = 0

    @property
    def names_words(self) -> bool:
        """Whether the network, trained with words, names words itself; the published CoTexNet does not."""
        return not (self.model == "cotexnet" and self.preset == "paper")
