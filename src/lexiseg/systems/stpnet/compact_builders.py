"""Builds the parts of the compact STPNet."""

from __future__ import annotations

from lexiseg.models.losses import CompactObjective
from lexiseg.systems.compact_builders import compact_builders
from lexiseg.systems.stpnet.compact_network import CompactStpNet
from lexiseg.systems.stpnet.compact_prompt_trace import trace_prompts
from lexiseg.systems.stpnet.configuration import CompactStpNetConfig
from lexiseg.systems.system import TrainingInputs, TrainingParts


def build_training(
    config: CompactStpNetConfig, inputs: TrainingInputs, network: CompactStpNet
) -> TrainingParts:
    """Build the objective of a training with words."""
    return TrainingParts(
        network=network, objective=CompactObjective(retrieval_weight=config.retrieval_weight)
    )


BUILDERS = compact_builders(CompactStpNet, training=build_training, trace_prompts=trace_prompts)
