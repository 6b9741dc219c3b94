"""Train with and without words, same seed, data order and steps, and compare case by case on the test split.

    python benchmarks/text_gain.py DATA --out DIR [--model stpnet] [--epochs 5] [--image-size 160] [--seed 0]
        [--config FILE]

Prints a Markdown table: mean per-case Dice of both arms, overall and by lesion-size tercile, and the
paired difference with its 95 % interval (bootstrap over patients where ids are known). An arm that is
already finished in DIR is not trained again; an interrupted one is resumed.
"""

from __future__ import annotations

import argparse

from arms import add_options, dice, paired, run_arm, shared_options
from machine import describe_machine

_ARMS = ("none", "reports")


def main() -> None:
    """Parse the arguments, train both arms, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--model", choices=("stpnet", "cotexnet"), default="stpnet")
    options = parser.parse_args()
    shared = {**shared_options(options), "model": options.model}
    without, taught = (run_arm(options.data, options.out / text, text=text, **shared) for text in _ARMS)
    print(describe_machine())
    print(
        f"{options.model}, {options.epochs} epochs, {options.image_size} px, seed {options.seed}, "
        f"{len(without)} test cases\n"
    )
    print("| test cases | without text | with text | difference (paired, 95 %) |")
    print("| --- | --- | --- | --- |")
    groups = {"all": without.index}
    for name in ("small", "medium", "large"):
        groups[f"{name} lesions"] = without.index[without["tercile"] == name]
    for name, ids in groups.items():
        a, b = dice(without, ids), dice(taught, ids)
        print(f"| {name} ({len(ids)}) | {a.mean():.4f} | {b.mean():.4f} | {paired(taught, without, ids)} |")


if __name__ == "__main__":
    main()
