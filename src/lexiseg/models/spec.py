"""What a network is, as data: enough to build it again from a run folder."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from lexiseg.json_records import PartlyWritten

#: Largest width of retrieval and prompts.
MAX_WIDTH = 4096


class NetworkSpec(PartlyWritten):
    """The network of a run, as its `run.json` holds it.

    Attributes:
        model: Name of the system.
        preset: Preset of the system.
        encoder: timm name of the image encoder, or what the system names its encoder by.
        out_channels: 1 for a binary mask, else one per class with the background first, at most 256.
        width: Width of retrieval and prompts, where the system lets a user choose it.
        clipseg: Configuration of the CLIPSeg that the network is built on; None for other networks.
        settings: Further JSON-able values that the system builds its network from; not written where empty.
        num_parameters: Parameters of the network, counted when it was built; 0 if not counted yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    LEFT_OUT = frozenset({"settings"})

    model: str = "stpnet"
    preset: str = "compact"
    encoder: str = "tf_efficientnet_lite0"
    out_channels: int = Field(default=1, ge=1, le=256)
    width: int = Field(default=128, ge=8, le=MAX_WIDTH, multiple_of=4)
    clipseg: dict[str, Any] | None = None
    settings: dict[str, Any] = Field(default={})
    num_parameters: int = Field(default=0, ge=0)
