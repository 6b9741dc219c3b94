"""Measure training speed with the data pipeline: images per second and seconds per step, medians over steps.

    python benchmarks/training_speed.py DATA [--model stpnet] [--encoder NAME] [--config FILE]
        [--image-size 224] [--batch-size 16] [--steps 30] [--precisions fp32,bf16] [--threads 1,2]
        [--layouts channels_last,contiguous] [--phases small,frozen,full]

Prints a row for each phase (small: at 5/7 of the size, all layers learn; frozen: at full size, early layers
are frozen; full: at full size, all learn), precision, number of threads and memory layout of the weights,
with the share of time the data pipeline takes. The variants take turns, step by step, so that other work
slows all of them down alike.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from machine import describe_machine
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.models.depthwise_gradients import DepthwiseGradients
from lexiseg.systems.configuration import small_size
from lexiseg.systems.registry import names
from lexiseg.training.config import make_config
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.inputs.data_loaders import pixel_sources, training_loader
from lexiseg.training.inputs.examples import TrainingExamples
from lexiseg.training.inputs.sampler import StepSampler
from lexiseg.training.loop import Training
from lexiseg.training.plan import plan_run
from lexiseg.training.preparation import PreparedTraining
from lexiseg.training.steps.progressive_resizing import freeze, shrink
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.unmasked_images import take_part

_WARMUP = 3
_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(kw_only=True)
class Variant:
    """One way to train, and what its steps took.

    Attributes:
        module: What is trained.
        size: Image size of its steps in pixels.
        frozen: Whether early layers are frozen.
        precision: "fp32" or "bf16".
        threads: Threads of torch.
        layout: Memory layout of the weights.
        seconds: Of each step.
        waited: Of each step, for the data.
    """

    module: SegmentationModule
    size: int
    frozen: bool
    precision: str
    threads: int
    layout: str
    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.module.network.to(memory_format=_FORMATS[self.layout])
        self.optimizer = self.module.configure_optimizers()
        self.module.train()
        if self.frozen:
            freeze(self.module.early)

    def step(self, batches: Iterator[Batch]) -> None:
        """Take one step and note how long it took."""
        torch.set_num_threads(self.threads)
        started = time.perf_counter()
        batch = next(batches)
        self.waited.append(time.perf_counter() - started)
        in_bf16 = torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16")
        with in_bf16, DepthwiseGradients():
            total = self.module.loss_parts(shrink(batch, self.size))["total"]
        total.backward()
        self.module.on_before_optimizer_step(self.optimizer)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.module.update_averages()
        self.seconds.append(time.perf_counter() - started)

    def row(self, batch_size: int) -> str:
        """Return what the steps took, as a row of a table."""
        median = statistics.median(self.seconds[_WARMUP:])
        data = statistics.median(self.waited[_WARMUP:]) / median
        cells = [
            f"{self.size} px",
            "frozen" if self.frozen else "all learn",
            self.precision,
            str(self.threads),
        ]
        cells += [self.layout, f"{median:.2f}", f"{min(self.seconds[_WARMUP:]):.2f}"]
        return f"| {' | '.join([*cells, f'{batch_size / median:.1f}', f'{100 * data:.0f} %'])} |"


def batches_of(training: Training) -> Iterator[Batch]:
    """Yield the batches of a training, loaded by this process from images in memory."""
    config = training.config.model_copy(update={"workers": 0})
    pixels, _ = pixel_sources(training.index, size=config.image_size, cached=True)
    examples = TrainingExamples(pixels, training.plan.train, augment=config.augment, seed=config.seed)
    sampler = StepSampler(
        len(pixels), batch_size=config.batch_size, segment_steps=1_000_000, seed=config.seed, total_steps=None
    )
    yield from training_loader(examples, config, sampler=sampler)


def variants_of(options: argparse.Namespace, training: Training) -> list[Variant]:
    """Return all variants that the options name."""
    size = training.config.image_size
    phases = {"small": (small_size(size), False), "frozen": (size, True), "full": (size, False)}
    return [
        Variant(
            module=training.module(),
            size=side,
            frozen=frozen,
            precision=precision,
            threads=int(threads),
            layout=layout,
        )
        for (side, frozen), precision, threads, layout in itertools.product(
            [phases[name] for name in options.phases], options.precisions, options.threads, options.layouts
        )
    ]


def _list(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", choices=names(), default="stpnet")
    parser.add_argument("--encoder", default="tf_efficientnet_lite0")
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--steps", type=int, default=30, help=f"of each variant, the first {_WARMUP} not counted"
    )
    parser.add_argument("--precisions", type=_list, default=["fp32"])
    parser.add_argument("--threads", type=_list, default=[torch.get_num_threads()])
    parser.add_argument("--layouts", type=_list, default=["channels_last"])
    parser.add_argument("--phases", type=_list, default=["small", "frozen", "full"])
    options = parser.parse_args()
    given = {"model": options.model, "image_size": options.image_size, "batch_size": options.batch_size}
    config = make_config(
        {**given, "encoder": options.encoder, "epochs": 100, "freeze_early": True}, options.config
    )
    use = take_part(open_dataset(options.data), config)
    plan = plan_run(use, config, Console(quiet=True))
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        training = Training(
            PreparedTraining(use=use, plan=plan, config=config),
            out=Path(folder),
            resume=False,
            console=Console(quiet=True),
        )
        variants, batches = variants_of(options, training), batches_of(training)
        for _ in range(options.steps):
            for variant in variants:
                variant.step(batches)
    print(
        "| size | early layers | precision | threads | layout | s/step | least | images/s | data pipeline |"
    )
    print("|" + " --- |" * 9)
    for variant in variants:
        print(variant.row(options.batch_size))


if __name__ == "__main__":
    main()
