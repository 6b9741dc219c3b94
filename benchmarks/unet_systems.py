"""U-Net and U-Net++ of segmentation_models_pytorch as systems, for `baselines.py`.

They have the encoder, the start weights, the mask losses, the optimiser and the schedule of Lexiseg's compact
networks. `register_unets` makes them known to this process alone: `lexiseg predict` does not know their runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from lexiseg.models.encoder_weights import load_encoder_weights
from lexiseg.models.losses import CompactObjective
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.compact_builders import (
    compact_learning_rate,
    compact_normalisation,
    compact_optimizer,
    compact_spec,
)
from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.registry import register
from lexiseg.systems.system import Builders, ImageSizes, System, TrainingInputs, TrainingParts

ARCHITECTURES = {"unet": smp.Unet, "unetplusplus": smp.UnetPlusPlus}
TITLES = {"unet": "U-Net", "unetplusplus": "U-Net++"}


class UNetConfig(CompactConfig):
    """The configuration of U-Net."""

    model: Literal["unet"] = "unet"
    preset: Literal["compact"] = "compact"


class UNetPlusPlusConfig(CompactConfig):
    """The configuration of U-Net++."""

    model: Literal["unetplusplus"] = "unetplusplus"
    preset: Literal["compact"] = "compact"


@dataclass(frozen=True)
class Output:
    """Raw mask scores, and no words.

    Attributes:
        logits: Mask scores `(B, C, H, W)`.
        retrieval: Always empty.
    """

    logits: Tensor
    retrieval: dict[str, Tensor] = field(default_factory=dict)


class UNet(nn.Module):
    """A network of segmentation_models_pytorch on a timm encoder.

    Args:
        spec: The network; `spec.model` is a key of `ARCHITECTURES`.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.body = ARCHITECTURES[spec.model](
            f"tu-{spec.encoder}", encoder_weights=None, classes=spec.out_channels
        )

    @property
    def encoder(self) -> nn.Module:
        """The timm encoder inside; its early layers stop learning as in Lexiseg's networks."""
        return self.body.encoder.model

    def forward(self, image: Tensor) -> Output:
        """Segment `(B, 3, H, W)` normalised images."""
        return Output(self.body(image))


def build_network(spec: NetworkSpec, bank: TextBank | None) -> UNet:
    """Build the network with random weights."""
    return UNet(spec)


def build_training(config: CompactConfig, inputs: TrainingInputs) -> TrainingParts:
    """Build the network with the encoder's start weights, and the mask losses."""
    network = UNet(inputs.spec)
    if inputs.pretrained and config.encoder_weights != "none":
        path = None if config.encoder_weights == "imagenet" else config.encoder_weights
        load_encoder_weights(config.encoder, network.encoder, path=path)
    return TrainingParts(
        network=network, objective=CompactObjective(retrieval_weight=config.retrieval_weight)
    )


BUILDERS = Builders(
    network_spec=compact_spec,
    network=build_network,
    training=build_training,
    optimizer=compact_optimizer,
    learning_rate=compact_learning_rate,
    normalisation=compact_normalisation,
)


def register_unets() -> None:
    """Make U-Net and U-Net++ known to this process."""
    for configuration in (UNetConfig, UNetPlusPlusConfig):
        name = configuration.model_fields["model"].default
        register(
            System(
                name=name,
                preset="compact",
                title=TITLES[name],
                summary="a baseline without words",
                citation="Ronneberger et al., 2015; Zhou et al., 2018.",
                limits=("It learns from masks only.",),
                configuration=configuration,
                image_sizes=ImageSizes(multiple=32),
                load_builders=lambda: BUILDERS,
                names_words=False,
            )
        )
