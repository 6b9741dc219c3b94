"""What the compact presets share: encoder, network without text, optimiser, learning rate."""

from __future__ import annotations

import torch
from torch import nn

from lexiseg.models.encoder_weights import (
    check_encoder_takes,
    create_encoder,
    encoder_normalisation,
    load_encoder_weights,
)
from lexiseg.models.learning_rates import warmup_cosine
from lexiseg.models.normalisation import Normalisation
from lexiseg.models.plain_network import PlainNetwork
from lexiseg.models.pyramid import PyramidLevels, pyramid_levels
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.compact_configuration import CompactConfig


def compact_spec(config: CompactConfig, out_channels: int) -> NetworkSpec:
    """Return the network that a configuration asks for."""
    return NetworkSpec(
        model=config.model,
        preset=config.preset,
        encoder=config.encoder,
        out_channels=out_channels,
        width=config.width,
    )


def compact_encoder(spec: NetworkSpec, *, pretrained: bool) -> tuple[nn.Module, PyramidLevels]:
    """Return the encoder, and which of its features the network uses.

    Args:
        spec: The network.
        pretrained: Whether the encoder has ImageNet weights, not random ones.

    Raises:
        UsageError: timm has no such encoder, or it lacks features that the network needs.
        WeightsError: The ImageNet weights cannot be found.
    """
    encoder = create_encoder(spec.encoder, pretrained=pretrained)
    return encoder, pyramid_levels(encoder, name=spec.encoder)


def plain_network(spec: NetworkSpec, *, pretrained: bool = False) -> PlainNetwork:
    """Build the network without text; see `compact_encoder` for the arguments and errors."""
    encoder, levels = compact_encoder(spec, pretrained=pretrained)
    return PlainNetwork(encoder, levels=levels, out_channels=spec.out_channels, width=spec.width)


def starts_from_imagenet(config: CompactConfig, *, pretrained: bool) -> bool:
    """Say whether the encoder is built with ImageNet weights; weights of a file follow in `start_encoder`."""
    return pretrained and config.encoder_weights == "imagenet"


def start_encoder(config: CompactConfig, encoder: nn.Module, *, pretrained: bool) -> None:
    """Load the encoder's weights from a file if the configuration names one, and check its image sizes.

    Raises:
        UsageError: The encoder cannot take images of the training's sizes.
        WeightsError: The file cannot be read or does not fit.
    """
    if pretrained and config.encoder_weights not in ("imagenet", "none"):
        load_encoder_weights(config.encoder, encoder, path=config.encoder_weights)
    check_encoder_takes(encoder, name=config.encoder, sizes=config.loop.sizes(config.image_size))


def compact_optimizer(config: CompactConfig, modules: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW for all parameters that require a gradient; norms and biases do not decay."""
    learning = [p for p in modules.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


def compact_learning_rate(config: CompactConfig, step: int, share: float, steps_per_epoch: int) -> float:
    """Return the learning rate of the coming step: linear warm-up, then half a cosine down to 1 %."""
    return config.learning_rate * warmup_cosine(step, share)


def compact_normalisation(spec: NetworkSpec) -> Normalisation:
    """Return how the encoder's ImageNet weights expect their input."""
    return encoder_normalisation(spec.encoder)
