"""What the compact presets share: encoder, network without text, objective, optimiser, learning rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from lexiseg.models.encoder_weights import (
    check_encoder_takes,
    create_encoder,
    encoder_normalisation,
    load_encoder_weights,
)
from lexiseg.models.learning_rates import warmup_cosine
from lexiseg.models.losses import CompactObjective
from lexiseg.models.normalisation import Normalisation
from lexiseg.models.plain_network import PlainNetwork
from lexiseg.models.prompt_trace import TracePrompts
from lexiseg.models.pyramid import PyramidLevels, pyramid_levels
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.system import Builders, TrainingInputs, TrainingParts


class NetworkWithWords(Protocol):
    """Builds a compact network that names words."""

    def __call__(
        self,
        encoder: nn.Module,
        bank: TextBank,
        *,
        levels: PyramidLevels,
        out_channels: int,
        width: int,
    ) -> nn.Module:
        """Return the network.

        Args:
            encoder: timm `features_only` encoder.
            bank: Phrases and their embeddings.
            levels: Which of the encoder's features to use.
            out_channels: 1 for a binary mask, else one per class with the background.
            width: Width of the words' part and of the prompts.
        """


def compact_builders(
    with_words: NetworkWithWords,
    *,
    training: Callable[[Any, TrainingInputs, Any], TrainingParts],
    trace_prompts: TracePrompts,
) -> Builders:
    """Return the functions of a compact preset.

    Args:
        with_words: Builds its network.
        training: `(config, inputs, network)` to the parts of a training with words.
        trace_prompts: Traces the prompts in its network.
    """
    return Builders(
        network_spec=compact_spec,
        network=partial(compact_network, with_words),
        training=partial(_build_training, with_words, training),
        optimizer=compact_optimizer,
        learning_rate=compact_learning_rate,
        normalisation=compact_normalisation,
        trace_prompts=trace_prompts,
    )


def compact_spec(config: CompactConfig, out_channels: int) -> NetworkSpec:
    """Return the network that a configuration asks for."""
    return NetworkSpec(
        model=config.model,
        preset=config.preset,
        encoder=config.encoder,
        out_channels=out_channels,
        width=config.width,
    )


def compact_network(
    with_words: NetworkWithWords, spec: NetworkSpec, bank: TextBank | None, *, encoder_weights: str = "none"
) -> nn.Module:
    """Build a network, the one without text if there is no bank.

    Args:
        with_words: Builds the network with words.
        spec: The network.
        bank: The text bank.
        encoder_weights: Start of the encoder: "imagenet", "none" (random), or a file.

    Raises:
        UsageError: timm has no such encoder, or it lacks features that the network needs.
        WeightsError: The weights of the encoder cannot be found or do not fit.
    """
    encoder = create_encoder(spec.encoder, pretrained=encoder_weights == "imagenet")
    levels = pyramid_levels(encoder, name=spec.encoder)
    if encoder_weights not in ("imagenet", "none"):
        load_encoder_weights(spec.encoder, encoder, path=encoder_weights)
    if bank is None:
        return PlainNetwork(encoder, levels=levels, out_channels=spec.out_channels, width=spec.width)
    return with_words(encoder, bank, levels=levels, out_channels=spec.out_channels, width=spec.width)


def _build_training(
    with_words: NetworkWithWords,
    training: Callable[[Any, TrainingInputs, Any], TrainingParts],
    config: CompactConfig,
    inputs: TrainingInputs,
) -> TrainingParts:
    """Build the parts of a training, of the network without text if there is no bank.

    Raises:
        UsageError: The encoder cannot take images of the training's sizes, or see `compact_network`.
        WeightsError: See `compact_network`.
    """
    weights = config.encoder_weights if inputs.pretrained else "none"
    network: Any = compact_network(with_words, inputs.spec, inputs.bank, encoder_weights=weights)
    check_encoder_takes(network.encoder, name=config.encoder, sizes=config.loop.sizes(config.image_size))
    if inputs.bank is None:
        objective = CompactObjective(retrieval_weight=config.retrieval_weight)
        return TrainingParts(network=network, objective=objective)
    return training(config, inputs, network)


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
