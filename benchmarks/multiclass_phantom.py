"""Train on a phantom with two kinds of lesions and print the mean Dice of both on its test split.

    python benchmarks/multiclass_phantom.py --out DIR [--model cotexnet] [--minutes 5] [--image-size 160]

The phantom has three classes: background, diffuse opacities and nodules, with exact masks. It is made in DIR;
the time is that of training and its validations, the loading of the packages and the test aside. Prints the
mean Dice over all test cases, of each foreground class and of their mean; in a case where neither mask holds
a class, that class scores 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from machine import describe_machine
from rich.console import Console

import lexiseg


def main() -> None:
    """Parse the arguments, make the phantom, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=("stpnet", "cotexnet"), default="cotexnet")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--images", type=int, default=600, help="training images")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data, folder = options.out / "data", options.out / options.model
    if not data.is_dir():
        lexiseg.write_phantom(
            data,
            num_train=options.images,
            num_val=60,
            num_test=120,
            size=options.image_size,
            seed=options.seed,
            classes=2,
        )
    run = lexiseg.train(
        data,
        folder,
        console=Console(width=140),
        model=options.model,
        max_minutes=options.minutes,
        image_size=options.image_size,
        seed=options.seed,
        val_cases=60,
    )
    metrics = lexiseg.evaluate(run, data, split="test", out=folder / "test").metrics
    print(describe_machine())
    print(f"{options.model}, {options.image_size} px, {run.finished_training.minutes} minutes of training\n")
    print("| class | test Dice, mean of cases | 95 % |")
    print("| --- | --- | --- |")
    assert metrics.by_class is not None, "the phantom has two foreground classes"
    for name, scores in [*metrics.by_class.items(), ("all foreground classes", metrics)]:
        low, high = scores.dice.ci95
        print(f"| {name} | {scores.dice.mean:.4f} | {low:.4f} to {high:.4f} |")


if __name__ == "__main__":
    main()
