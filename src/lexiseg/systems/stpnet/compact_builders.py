"""Builds the parts of the compact STPNet."""

from __future__ import annotations

from lexiseg.models.plain_network import MaskObjective, PlainNetwork
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.compact_builders import (
    compact_encoder,
    compact_learning_rate,
    compact_normalisation,
    compact_optimizer,
    compact_spec,
    plain_network,
    start_encoder,
    starts_from_imagenet,
)
from lexiseg.systems.stpnet.compact_network import CompactStpNet
from lexiseg.systems.stpnet.compact_objective import CompactStpNetObjective
from lexiseg.systems.stpnet.compact_prompt_trace import trace_prompts
from lexiseg.systems.stpnet.configuration import CompactStpNetConfig
from lexiseg.systems.system import Builders, TrainingInputs, TrainingParts


def build_network(
    spec: NetworkSpec, bank: TextBank | None, *, pretrained: bool = False
) -> CompactStpNet | PlainNetwork:
    """Build the network, without text if there is no bank.

    Args:
        spec: The network.
        bank: The text bank.
        pretrained: Whether the encoder has ImageNet weights, not random ones.
    """
    if bank is None:
        return plain_network(spec, pretrained=pretrained)
    encoder, levels = compact_encoder(spec, pretrained=pretrained)
    return CompactStpNet(encoder, bank, levels=levels, out_channels=spec.out_channels, width=spec.width)


def build_training(config: CompactStpNetConfig, inputs: TrainingInputs) -> TrainingParts:
    """Build network and objective."""
    imagenet = starts_from_imagenet(config, pretrained=inputs.pretrained)
    network = build_network(inputs.spec, inputs.bank, pretrained=imagenet)
    start_encoder(config, network.encoder, pretrained=inputs.pretrained)
    if inputs.bank is None:
        return TrainingParts(network=network, objective=MaskObjective())
    return TrainingParts(
        network=network, objective=CompactStpNetObjective(retrieval_weight=config.retrieval_weight)
    )


BUILDERS = Builders(
    network_spec=compact_spec,
    network=build_network,
    training=build_training,
    optimizer=compact_optimizer,
    learning_rate=compact_learning_rate,
    normalisation=compact_normalisation,
    trace_prompts=trace_prompts,
)
