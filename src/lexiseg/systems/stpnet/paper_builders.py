"""Builds the parts of the published STPNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lexiseg.models.encoder_weights import encoder_state_dict
from lexiseg.models.learning_rates import warm_restarts
from lexiseg.models.normalisation import IMAGENET, Normalisation
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.stpnet.configuration import PaperStpNetConfig
from lexiseg.systems.stpnet.paper_network import StpNet
from lexiseg.systems.stpnet.paper_objective import PaperStpNetObjective
from lexiseg.systems.stpnet.paper_prompt_trace import trace_prompts
from lexiseg.systems.stpnet.published_checkpoint import read_published
from lexiseg.systems.system import Builders, TrainingInputs, TrainingParts

_ENCODER = "resnet101"


def network_spec(config: PaperStpNetConfig, out_channels: int) -> NetworkSpec:
    """Return the network that a configuration asks for."""
    return NetworkSpec(model=config.model, preset=config.preset, encoder=_ENCODER, out_channels=out_channels)


def build_network(spec: NetworkSpec, bank: TextBank | None) -> StpNet:
    """Build the network, its ResNet-101 with random weights."""
    assert bank is not None, "the system has no form without text"
    return StpNet(bank.embeddings)


def build_training(config: PaperStpNetConfig, inputs: TrainingInputs) -> TrainingParts:
    """Build network and objective.

    Raises:
        WeightsError: The weights of the ResNet-101 cannot be found.
    """
    assert inputs.bank is not None, "the system has no form without text"
    weights = _encoder_weights(config.encoder_weights) if inputs.pretrained else None
    network = StpNet(inputs.bank.embeddings, encoder_weights=weights)
    return TrainingParts(network=network, objective=PaperStpNetObjective())


def _encoder_weights(choice: str) -> dict[str, Tensor] | None:
    """Return the start of the ResNet-101: "imagenet", "none", or a file."""
    if choice == "none":
        return None
    return encoder_state_dict("resnet101.tv_in1k", path=None if choice == "imagenet" else choice)


def build_optimizer(config: PaperStpNetConfig, modules: nn.Module) -> torch.optim.Optimizer:
    """Return Adam without weight decay, as published."""
    return torch.optim.Adam([p for p in modules.parameters() if p.requires_grad], lr=config.learning_rate)


def learning_rate(config: PaperStpNetConfig, step: int, share: float, steps_per_epoch: int) -> float:
    """Return the published learning rate: cosine with warm restarts every 10 epochs, down to 1e-4."""
    return warm_restarts(step, steps_per_epoch, peak=config.learning_rate)


def normalisation(spec: NetworkSpec) -> Normalisation:
    """Return ImageNet's statistics."""
    return IMAGENET


BUILDERS = Builders(
    network_spec=network_spec,
    network=build_network,
    training=build_training,
    optimizer=build_optimizer,
    learning_rate=learning_rate,
    normalisation=normalisation,
    trace_prompts=trace_prompts,
    read_published=read_published,
)
