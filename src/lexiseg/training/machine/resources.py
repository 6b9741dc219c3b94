"""The resources of a training: memory for images, precision, data workers."""

from __future__ import annotations

import math
import os

import torch
from rich.console import Console

from lexiseg.errors import UsageError
from lexiseg.models.network_weights import count_parameters
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.machine.memory import MemoryEstimate, activation_bytes, available_memory
from lexiseg.training.machine.shared_memory import shared_memory_problem
from lexiseg.training.machine.step_times import faster_in_bf16
from lexiseg.training.steps.segmentation_module import SegmentationModule

#: The choice of the precision may take this share of a training whose length is set in minutes.
_PROBE_SHARE = 0.02


def settle_resources(
    module: SegmentationModule,
    config: TrainConfig,
    *,
    pixels: int,
    resume: bool,
    console: Console,
    ranks: Ranks = ALONE,
) -> tuple[bool, TrainConfig]:
    """Estimate memory, choose caching, precision and data workers, and say so.

    Args:
        module: What is trained.
        config: The configuration.
        pixels: Number of pixels of all training and validation images, at the size at which they are kept.
        resume: Whether the training continues an interrupted one.
        console: Where the choices are shown.
        ranks: The place of this process. Each process of its machine keeps all images and has a part of each
            batch.

    Returns:
        Whether decoded images stay in memory, and the configuration with all choices made.

    Raises:
        UsageError: The training needs more memory than is free.
    """
    on_cpu = config.accelerator == "cpu" or (config.accelerator == "auto" and not torch.cuda.is_available())
    processes = ranks.local_size
    batch_size = config.batch_size // ranks.size
    data = pixels * 4 * processes
    free = available_memory()
    # Caching changes no result, so a resumed run decides by the memory that is free now.
    cached = data < free / 2 if config.cache is None or resume else config.cache
    estimate = MemoryEstimate(
        model=count_parameters(module.network) * 4 * (5 if module.average is not None else 4) * processes,
        activations=activation_bytes(module.network, config.image_size) * batch_size * processes,
        data=data if cached else 0,
        available=free,
        processes=processes,
    )
    console.print(estimate.sentence(), highlight=False)
    if on_cpu and estimate.total > free:
        raise UsageError(
            f"{estimate.sentence()} Choose a smaller --batch-size or --image-size"
            + (", fewer processes (--devices)" if processes > 1 else "")
            + (", or set `cache: false` in a --config file." if cached else "."),
            code="LEX-USE-080",
        )
    if config.precision == "auto":
        precision = _faster_precision(module, config, console) if on_cpu else "bf16"
        config = config.model_copy(update={"precision": precision})
    workers = _data_workers(config, console, cached=cached, ranks=ranks)
    return cached, config.model_copy(update={"workers": workers, "cache": cached})


def _data_workers(config: TrainConfig, console: Console, *, cached: bool, ranks: Ranks) -> int:
    """Return how many processes load images for one that trains; 0 where they would not help or work."""
    workers = config.workers
    if workers is None:
        # Where images are cached, a worker has little to do; on few cores it takes one from the network.
        cores = (os.cpu_count() or 1) // ranks.local_size
        workers = 0 if cached or cores <= 2 else min(8, cores - 1)
    if not workers:
        return 0
    problem = shared_memory_problem(
        workers=workers * ranks.local_size,
        batch_size=config.batch_size // ranks.size,
        image_size=config.image_size,
    )
    if problem is None:
        return workers
    console.print(
        f"Images are loaded without worker processes, which can be slower: {problem}. Results are the same.",
        markup=False,
        highlight=False,
    )
    return 0


def _faster_precision(module: SegmentationModule, config: TrainConfig, console: Console) -> str:
    """Measure a training step in both precisions and return the one to use.

    Of a training whose length is set in minutes, the measurement takes a small share.
    """
    limit = math.inf if config.max_minutes is None else 60 * _PROBE_SHARE * config.max_minutes
    bf16, fp32_seconds, bf16_seconds = faster_in_bf16(
        module.network, image_size=config.image_size, batch_size=4, limit_s=limit
    )
    if bf16 is None:
        console.print(
            f"Precision: fp32 (bf16 is not measured: a step of 4 images takes {fp32_seconds:.2f} s, which is "
            f"long for a training of {config.max_minutes:g} min; --precision bf16 sets it).",
            highlight=False,
        )
        return "fp32"
    console.print(
        f"Precision: {'bf16' if bf16 else 'fp32'} (a step of 4 images took {fp32_seconds:.2f} s in fp32, "
        f"{bf16_seconds:.2f} s in bf16).",
        highlight=False,
    )
    return "bf16" if bf16 else "fp32"
