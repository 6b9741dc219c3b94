"""Compare the fits of images on a procedural histology-like set, at an equal length of training.

    python benchmarks/fit.py --out DIR [--steps 150] [--fits stretch tiles]
    python benchmarks/fit.py --out DIR --fits stretch pad --shapes 3 1 0.333 --size 336 --nuclei 1500

Tiles are for small structures in large images; the set is large and square then. Padding is for images of
different shapes: the second command draws images that are up to three times as wide as high, and as high as
wide, with fewer pixels. The set is made in DIR.

Every fit has the same number of steps and pictures per step, which is the same work for the network; the
minutes are printed beside. They hold the validations, in which tiles are more pictures. Dice is that of the
test images on their own grids.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import get_args

import torch
from histology import write_histology
from machine import describe_machine
from rich.console import Console

import lexiseg
from lexiseg.data.image_fit import Fit


def main() -> None:
    """Parse the arguments, make the data set, train with each fit, print a table."""
    options = _options()
    torch.set_num_threads(options.threads)
    data = options.out / "data"
    if not data.is_dir():
        write_histology(
            data,
            train=options.train,
            val=options.val,
            test=options.test,
            size=options.size,
            nuclei=options.nuclei,
            seed=options.seed,
            shapes=options.shapes,
        )
    rows = [_row(options, data, fit) for fit in options.fits]
    print(describe_machine())
    print(
        f"{options.train} training and {options.test} test images, the longer side {options.size} px, "
        f"{', '.join(f'{shape:g}' for shape in options.shapes)} times as wide as high, with about "
        f"{options.nuclei} nuclei per 1,000 x 1,000 px; {options.steps} steps of "
        f"{options.batch_size} pictures of {options.image_size} px, words: {options.text}, seed "
        f"{options.seed}\n"
    )
    print("| fit | test Dice, mean of cases | 95 % | minutes of training | seconds per test image |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(rows))


def _row(options: argparse.Namespace, data: Path, fit: Fit) -> str:
    """Train and evaluate with one fit, and return its row of the table."""
    run = lexiseg.train(
        data,
        options.out / fit,
        console=Console(width=140),
        text=options.text,
        fit=fit,
        image_size=options.image_size,
        steps=options.steps,
        batch_size=options.batch_size,
        seed=options.seed,
        precision="fp32",
        workers=0,
        accelerator="cpu",
    )
    started = time.perf_counter()
    metrics = lexiseg.evaluate(run, data, split="test", out=options.out / fit / "test").metrics
    seconds = (time.perf_counter() - started) / options.test
    low, high = metrics.dice.ci95
    minutes = run.finished_training.minutes
    return f"| {fit} | {metrics.dice.mean:.4f} | {low:.4f} to {high:.4f} | {minutes} | {seconds:.1f} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fits", nargs="+", default=["stretch", "tiles"], choices=get_args(Fit))
    parser.add_argument("--train", type=int, default=24)
    parser.add_argument("--val", type=int, default=4)
    parser.add_argument("--test", type=int, default=8)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--nuclei", type=int, default=500, help="per 1,000 x 1,000 px")
    parser.add_argument("--shapes", nargs="+", type=float, default=[1.0], help="width / height, in turns")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--text", default="none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
