"""A third system, as another package would bring it: everything that Lexiseg needs of it is in this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lexiseg.models.losses import retrieval_loss
from lexiseg.models.normalisation import IMAGENET
from lexiseg.models.prompt_trace import Phrase, PromptTrace
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.system import Builders, ImageSizes, System, TrainingParts


class ToyConfig(TrainConfig):
    model: Literal["toy"] = "toy"
    preset: Literal["small"] = "small"
    channels: int = 4


@dataclass(frozen=True, kw_only=True)
class ToyOutput:
    logits: Tensor
    retrieval: dict[str, Tensor]


class ToyNetwork(nn.Module):
    def __init__(self, channels: int, bank: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(channels, 1, 1)
        self.sizes = {} if bank is None else {name: len(phrases) for name, phrases in bank.phrases.items()}
        self.words = nn.Linear(channels, sum(self.sizes.values())) if self.sizes else None

    def forward(self, image: Tensor) -> ToyOutput:
        features = self.body(image)
        scores = () if self.words is None else self.words(features.mean(dim=(2, 3)))
        parts = torch.split(scores, list(self.sizes.values()), dim=1) if self.sizes else ()
        return ToyOutput(logits=self.head(features), retrieval=dict(zip(self.sizes, parts, strict=True)))


class ToyObjective(nn.Module):
    def forward(self, output: ToyOutput, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        parts = {"mask": binary_cross_entropy_with_logits(output.logits, (labels > 0).float())}
        if output.retrieval:
            parts["retrieval"] = retrieval_loss(output.retrieval, indices)
        return {**parts, "total": torch.stack(list(parts.values())).sum()}


def trace_prompts(
    network: Any, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> PromptTrace:
    logits = network(image).logits  # no phrase prompts anything
    return PromptTrace(
        heat={}, heat_kind=None, logits=logits, forced=(logits,) * len(forced), factors_by_scale=()
    )


BUILDERS = Builders(
    network_spec=lambda config, out_channels: NetworkSpec(
        model="toy", preset="small", encoder="none", settings={"channels": config.channels}
    ),
    network=lambda spec, bank: ToyNetwork(spec.settings["channels"], bank),
    training=lambda config, inputs: TrainingParts(
        network=ToyNetwork(config.channels, inputs.bank), objective=ToyObjective()
    ),
    optimizer=lambda config, modules: torch.optim.SGD(modules.parameters(), lr=config.learning_rate),
    learning_rate=lambda config, step, share, steps_per_epoch: config.learning_rate,
    normalisation=lambda spec: IMAGENET,
    trace_prompts=trace_prompts,
)

TOY = System(
    name="toy",
    preset="small",
    title="Toy Net",
    summary="one convolution",
    citation="None.",
    limits=("It segments one class.",),
    configuration=ToyConfig,
    image_sizes=ImageSizes(smallest=16),
    load_builders=lambda: BUILDERS,
    several_classes=False,
)
