"""Builds the parts of the compact CoTexNet."""

from __future__ import annotations

from lexiseg.systems.compact_builders import compact_builders
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNet
from lexiseg.systems.cotexnet.compact_objective import CompactCoTexNetObjective
from lexiseg.systems.cotexnet.compact_prompt_trace import trace_prompts
from lexiseg.systems.cotexnet.compact_text_supervisor import CompactTextSupervisor
from lexiseg.systems.cotexnet.configuration import CompactCoTexNetConfig
from lexiseg.systems.cotexnet.text_inputs import SentenceEmbedder
from lexiseg.systems.system import TrainingInputs, TrainingParts


def build_training(
    config: CompactCoTexNetConfig, inputs: TrainingInputs, network: CompactCoTexNet
) -> TrainingParts:
    """Build the objective of a training with words, and a text supervisor where words teach."""
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


BUILDERS = compact_builders(CompactCoTexNet, training=build_training, trace_prompts=trace_prompts)
