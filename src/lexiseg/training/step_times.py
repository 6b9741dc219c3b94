"""How long the steps of a training take in each of its phases, and the training with them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from lexiseg.models.depthwise_gradients import DepthwiseGradients
from lexiseg.systems.configuration import LoopSettings, TrainConfig
from lexiseg.training.loop import Training
from lexiseg.training.progressive_resizing import early_layers, freeze

#: A pass without gradients takes about this share of a training step.
_FORWARD_SHARE = 1 / 3

#: Steps that are measured, after one that is not counted.
_MEASURED_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a training in which all steps are alike.

    Attributes:
        share: Its share of the training, of its steps or of its minutes, above 0 to 1.
        size: Image size in pixels.
        frozen: Whether early layers do not learn.
    """

    share: float
    size: int
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """Seconds of a step.

    Attributes:
        phases: Share of the training, and seconds of a step, of each phase.
        whole: Seconds of a step at the full image size in which all layers learn.
    """

    phases: tuple[tuple[float, float], ...]
    whole: float


def phases_of(loop: LoopSettings, image_size: int) -> tuple[Phase, ...]:
    """Return the phases of a training, in their order.

    Args:
        loop: How the training loop treats the network.
        image_size: The full image size.
    """
    ends = sorted({min(loop.small_first, 1.0), 1 - loop.full_last, 1.0})
    starts = [0.0, *ends[:-1]]
    return tuple(
        Phase(
            share=end - start,
            size=loop.size(start, image_size),
            frozen=loop.freeze_early and start >= loop.small_first,
        )
        for start, end in zip(starts, ends, strict=True)
        if end > start
    )


def step_times(network: nn.Module, config: TrainConfig, *, device: str) -> StepTimes:
    """Return the time of the steps of a training on images of noise.

    The statistics of the network change and its early layers may freeze, so it is of no use afterwards.

    Args:
        network: The network.
        config: The configuration; its precision is settled.
        device: Where to compute.
    """
    network.to(device)
    phases = phases_of(config.loop, config.image_size)
    found: dict[tuple[int, bool], float] = {}
    # Layers that are frozen stay so: the steps in which all learn come first.
    kinds = {(phase.size, phase.frozen) for phase in phases} | {(config.image_size, False)}
    for size, frozen in sorted(kinds, key=lambda kind: kind[1]):
        found[size, frozen] = step_seconds(network, config, device=device, size=size, frozen=frozen)
    return StepTimes(
        phases=tuple((phase.share, found[phase.size, phase.frozen]) for phase in phases),
        whole=found[config.image_size, False],
    )


def step_seconds(network: nn.Module, config: TrainConfig, *, device: str, size: int, frozen: bool) -> float:
    """Return the time of a training step on images of noise, in seconds.

    Args:
        network: The network, on its device.
        config: The configuration; its precision is settled.
        device: Where to compute.
        size: Image size in pixels.
        frozen: Whether to freeze the early layers.
    """
    network.train()
    if frozen:
        freeze(early_layers(network))
    image = torch.rand(config.batch_size, 3, size, size, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(1 + _MEASURED_STEPS):
        started = time.perf_counter()
        in_bf16 = torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16")
        with in_bf16, DepthwiseGradients():
            loss = network(image).logits.float().mean()
        loss.backward()
        network.zero_grad(set_to_none=True)
        loss.item()  # waits for a GPU
        times.append(time.perf_counter() - started)
    return min(times[1:])


def training_length(times: StepTimes, training: Training, config: TrainConfig) -> tuple[int, float, float]:
    """Return the number of steps, the minutes without those of teachers, and the mean seconds of a step.

    Args:
        times: How long steps take.
        training: The training.
        config: Its configuration.
    """
    per_image = times.whole / config.batch_size * _FORWARD_SHARE
    cases = len(training.index.split("val"))
    validation = min(cases, config.val_cases) * per_image / training.segment_steps
    progress = training.progress
    if progress.total_steps is None:
        assert progress.max_minutes is not None
        # Shares of the minutes: a phase of fast steps has more of them.
        rate = sum(share / (seconds + validation) for share, seconds in times.phases)
        steps = max(1, math.floor(60 * progress.max_minutes * rate))
        return steps, progress.max_minutes, 1 / rate - validation
    mean = sum(share * seconds for share, seconds in times.phases)
    total = progress.total_steps
    return total, (total * (mean + validation) + cases * per_image) / 60, mean
