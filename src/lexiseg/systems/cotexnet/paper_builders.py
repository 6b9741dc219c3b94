"""Builds the parts of the published CoTexNet."""

from __future__ import annotations

import torch
from torch import nn

from lexiseg.errors import UsageError, WeightsError
from lexiseg.models.learning_rates import half_cosine
from lexiseg.models.normalisation import IMAGENET, Normalisation
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.cotexnet.clipseg_weights import clipseg_config, load_clipseg
from lexiseg.systems.cotexnet.configuration import PaperCoTexNetConfig
from lexiseg.systems.cotexnet.framed_sentences import load_framed_tokenizer
from lexiseg.systems.cotexnet.paper_network import PSEUDO_WORD_POSITION, CoTexNet, CoTexNetStudent
from lexiseg.systems.cotexnet.paper_objective import PaperCoTexNetObjective
from lexiseg.systems.cotexnet.paper_text_supervisor import PaperTextSupervisor
from lexiseg.systems.cotexnet.published_checkpoint import read_published
from lexiseg.systems.cotexnet.published_keys import read_config
from lexiseg.systems.cotexnet.text_inputs import SentenceTokenizer
from lexiseg.systems.system import Builders, TrainingInputs, TrainingParts


def network_spec(config: PaperCoTexNetConfig, out_channels: int) -> NetworkSpec:
    """Return the network that a configuration asks for.

    Raises:
        UsageError: The CLIPSeg to start from is "imagenet" or "none".
        WeightsError: The configuration of the CLIPSeg cannot be found.
    """
    start = config.encoder_weights
    if start in ("imagenet", "none"):
        raise UsageError(
            f"The paper preset of CoTexNet keeps its CLIPSeg frozen, so it cannot start from '{start}'. Give "
            f"the folder of a CLIPSeg with --encoder-weights, or leave the option out.",
            code="LEX-USE-078",
        )
    return NetworkSpec(
        model=config.model,
        preset=config.preset,
        encoder=start,
        out_channels=out_channels,
        clipseg=clipseg_config(start),
    )


def build_network(spec: NetworkSpec, bank: TextBank | None) -> CoTexNetStudent:
    """Build the part of the network that predicts.

    Raises:
        WeightsError: The description of the network lacks the configuration of its CLIPSeg.
    """
    if spec.clipseg is None:
        raise WeightsError(
            "The run's network lacks the configuration of its CLIPSeg, `clipseg` in run.json. Restore the "
            "file.",
            code="LEX-WEIGHTS-015",
        )
    return CoTexNetStudent(read_config(spec.clipseg), num_classes=_classes(spec))


def build_training(config: PaperCoTexNetConfig, inputs: TrainingInputs) -> TrainingParts:
    """Build the whole network with its text side, the objective, the text supervisor and its tokenizer.

    Raises:
        WeightsError: The CLIPSeg or its tokenizer cannot be found or does not fit.
    """
    spec = inputs.spec
    assert spec.clipseg is not None
    assert inputs.vocabulary is not None
    # The weights of a run lack the text side, which comes from the CLIPSeg there too.
    network = (
        CoTexNet(read_config(spec.clipseg), _classes(spec))
        if inputs.goes_on
        else load_clipseg(config.encoder_weights, num_classes=_classes(spec))
    )
    tokenizer = load_framed_tokenizer(
        config.encoder_weights,
        position=PSEUDO_WORD_POSITION,
        max_tokens=network.text_tokens,
        vocabulary_size=network.text_vocabulary_size,
    )
    return TrainingParts(
        network=network,
        objective=PaperCoTexNetObjective(reference_compat=config.reference_compat),
        text_supervisor=PaperTextSupervisor(),
        text_inputs=SentenceTokenizer(inputs.vocabulary, tokenizer),
    )


def build_optimizer(config: PaperCoTexNetConfig, modules: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW with weight decay on all parameters that learn, as published."""
    learning = [p for p in modules.parameters() if p.requires_grad]
    return torch.optim.AdamW(learning, lr=config.learning_rate, weight_decay=config.weight_decay)


def learning_rate(config: PaperCoTexNetConfig, step: int, share: float, steps_per_epoch: int) -> float:
    """Return the published learning rate: half a cosine over the training, down to 0."""
    return config.learning_rate * half_cosine(share)


def normalisation(spec: NetworkSpec) -> Normalisation:
    """Return ImageNet's statistics, as CLIPSeg expects."""
    return IMAGENET


def _classes(spec: NetworkSpec) -> int:
    """Return the number of classes with the background."""
    return max(2, spec.out_channels)


BUILDERS = Builders(
    network_spec=network_spec,
    network=build_network,
    training=build_training,
    optimizer=build_optimizer,
    learning_rate=learning_rate,
    normalisation=normalisation,
    read_published=read_published,
)
