"""How long the steps of a training take, measured on images of noise: in each phase, in each precision."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lexiseg.models.depthwise_gradients import DepthwiseGradients
from lexiseg.systems.configuration import LoopSettings, TrainConfig
from lexiseg.training.steps.progressive_resizing import early_layers, freeze

#: Steps that are measured, after one that is not counted.
_MEASURED_STEPS = 2
#: Steps that the choice of the precision measures in each.
_PROBES = 3


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
    image = _noise(config.batch_size, size).to(device)
    bf16 = config.precision == "bf16"
    return min([_step_on(image, network, bf16=bf16) for _ in range(1 + _MEASURED_STEPS)][1:])


def faster_in_bf16(
    network: nn.Module, *, image_size: int, batch_size: int, limit_s: float = math.inf
) -> tuple[bool | None, float, float]:
    """Measure a training step in float32 and in bfloat16 autocast, on the CPU.

    Args:
        network: The network; its weights and statistics are left as they were.
        image_size: Height and width.
        batch_size: Images per step.
        limit_s: Seconds that the measurement may take, by its first step.

    Returns:
        Whether bfloat16 is at least 10 % faster, and the seconds of each, float32 first. None, and NaN for
        bfloat16, where the measurement would take longer than the limit.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    image = _noise(batch_size, image_size)
    network.train()
    first, faster, bf16 = _step_on(image, network, bf16=False), None, math.nan
    fp32 = first
    if 2 * _PROBES * first <= limit_s:
        fp32 = min(first, *(_step_on(image, network, bf16=False) for _ in range(_PROBES - 1)))
        bf16 = _step_on(image, network, bf16=True)
        # A processor without bfloat16 takes many times as long. First steps are compared, as both prepare
        # what later ones use.
        if bf16 < 2 * first:
            bf16 = min(bf16, *(_step_on(image, network, bf16=True) for _ in range(_PROBES - 1)))
        faster = bf16 < 0.9 * fp32
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    return faster, fp32, bf16


def _noise(images: int, size: int) -> Tensor:
    # From a generator of its own: a measurement must not change what is drawn after it.
    image = torch.rand(images, 3, size, size, generator=torch.Generator().manual_seed(0))
    return image.contiguous(memory_format=torch.channels_last)


def _step_on(image: Tensor, network: nn.Module, *, bf16: bool) -> float:
    """Take a step that changes no weights, and return its seconds."""
    started = time.perf_counter()
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bf16), DepthwiseGradients():
        loss: Tensor = network(image).logits.float().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    loss.item()  # waits for a GPU
    return time.perf_counter() - started
