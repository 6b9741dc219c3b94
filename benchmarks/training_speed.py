"""Measure training speed with the data pipeline: images per second, median of several steps.

    python benchmarks/training_speed.py DATA [--model stpnet] [--image-size 224] [--batch-size 16]
                                             [--steps 30]

Prints the speed of the first phase (all layers learn, 5/7 of the size) and of the second (full size), one
after the other in one run, with the share of time the data pipeline takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from machine import describe_machine
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.systems.registry import names
from lexiseg.training.config import make_config
from lexiseg.training.loading import make_loaders
from lexiseg.training.loop import Training
from lexiseg.training.plan import plan_run
from lexiseg.training.progressive_resizing import freeze, shrink
from lexiseg.training.unmasked_images import take_part

_WARMUP = 3


def measure(training: Training, steps: int, *, small: bool, frozen: bool) -> tuple[float, float]:
    """Return images per second, and the share of the time that data takes; medians over the steps."""
    config = training.config.model_copy(update={"workers": 0})
    module = training.module()
    loader, _ = make_loaders(
        training.index,
        config,
        sampler=training.sampler,
        train_words=training.plan.train,
        val_words=training.plan.val,
        cached=True,
    )
    optimizer = module.configure_optimizers()
    module.train()
    if frozen:
        freeze(module.early)
    seconds, waited, batches = [], [], iter(loader)
    for _ in range(steps):
        started = time.perf_counter()
        batch = next(batches)
        waited.append(time.perf_counter() - started)
        module.loss_parts(shrink(batch) if small else batch)["total"].backward()
        module.on_before_optimizer_step(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        module.update_averages()
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[_WARMUP:])
    return config.batch_size / median, statistics.median(waited[_WARMUP:]) / median


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", choices=names(), default="stpnet")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    given = {"model": options.model, "image_size": options.image_size, "batch_size": options.batch_size}
    config = make_config({**given, "epochs": 100})
    use = take_part(open_dataset(options.data), config)
    plan = plan_run(use, config, Console(quiet=True))
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        training = Training(use, plan, config, out=Path(folder), resume=False, console=Console(quiet=True))
        for name, small, frozen in (
            (f"first phase, {options.image_size} px shrunk to 5/7, all layers learn", True, False),
            (f"second phase, {options.image_size} px, early layers frozen", False, True),
            (f"for comparison: {options.image_size} px, all layers learn", False, False),
        ):
            torch.manual_seed(0)
            speed, data = measure(training, options.steps, small=small, frozen=frozen)
            print(f"{name}: {speed:.1f} images/s, data pipeline {100 * data:.0f} % of the time")


if __name__ == "__main__":
    main()
