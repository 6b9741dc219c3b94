"""Builds the parts of the compact CoTexNet."""

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
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNet
from lexiseg.systems.cotexnet.compact_objective import CompactCoTexNetObjective
from lexiseg.systems.cotexnet.compact_prompt_trace import trace_prompts
from lexiseg.systems.cotexnet.compact_text_supervisor import CompactTextSupervisor
from lexiseg.systems.cotexnet.configuration import CompactCoTexNetConfig
from lexiseg.systems.cotexnet.text_inputs import SentenceEmbedder
from lexiseg.systems.system import Builders, TrainingInputs, TrainingParts


def build_network(
    spec: NetworkSpec, bank: TextBank | None, *, pretrained: bool = False
) -> CompactCoTexNet | PlainNetwork:
    """Build the network, without text if there is no bank.

    Args:
        spec: The network.
        bank: The text bank.
        pretrained: Whether the encoder has ImageNet weights, not random ones.
    """
    if bank is None:
        return plain_network(spec, pretrained=pretrained)
    encoder, levels = compact_encoder(spec, pretrained=pretrained)
    return CompactCoTexNet(encoder, bank, levels=levels, out_channels=spec.out_channels, width=spec.width)


def build_training(config: CompactCoTexNetConfig, inputs: TrainingInputs) -> TrainingParts:
    """Build network and objective, and a text supervisor where words teach."""
    imagenet = starts_from_imagenet(config, pretrained=inputs.pretrained)
    network = build_network(inputs.spec, inputs.bank, pretrained=imagenet)
    start_encoder(config, network.encoder, pretrained=inputs.pretrained)
    if isinstance(network, PlainNetwork):
        return TrainingParts(network=network, objective=MaskObjective())
    network.words_only_read = config.teach in ("pseudo_word", "none")
    objective = CompactCoTexNetObjective(
        retrieval_weight=config.retrieval_weight, distillation_weight=config.distillation_weight
    )
    if config.teach == "none":
        return TrainingParts(network=network, objective=objective)
    assert inputs.vocabulary is not None
    assert inputs.text_encoder is not None
    assert inputs.indices is not None
    sentences = SentenceEmbedder(inputs.vocabulary, inputs.text_encoder)
    text_supervisor = CompactTextSupervisor(
        parts=config.teach,
        width=config.width,
        classes=max(1, inputs.spec.out_channels - 1),
        centre=sentences.mean(inputs.indices),
    )
    return TrainingParts(
        network=network, objective=objective, text_supervisor=text_supervisor, text_inputs=sentences
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
