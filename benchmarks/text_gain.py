"""Train with and without words, same seed, data order and steps, and compare case by case on the test split.

    python benchmarks/text_gain.py DATA --out DIR [--epochs 5] [--image-size 160] [--seed 0]

Prints a Markdown table: mean per-case Dice of both arms, overall and by lesion-size tercile, and the
paired difference with its 95 % interval (bootstrap over patients where ids are known). An arm that is
already finished in DIR is not trained again; an interrupted one is resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from machine import describe_machine
from rich.console import Console

import lexiseg
from lexiseg.evaluation.statistics import paired_difference

_ARMS = ("none", "reports")


def run_arm(data: Path, out: Path, text: str, options: argparse.Namespace) -> pd.DataFrame:
    """Train and evaluate one arm; return its cases, indexed by id."""
    folder = out / text
    lexiseg.train(
        data,
        folder,
        resume=(folder / "run.json").is_file(),
        console=Console(width=140),
        text=text,
        epochs=options.epochs,
        image_size=options.image_size,
        seed=options.seed,
    )
    lexiseg.evaluate(folder, data, split="test", out=folder / "test")
    return pd.read_csv(folder / "test" / "cases.csv").set_index("id")


def main() -> None:
    """Parse the arguments, train both arms, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arms = {text: run_arm(options.data, options.out, text, options) for text in _ARMS}
    without, taught = arms["none"], arms["reports"].loc[arms["none"].index]
    print(describe_machine())
    print(
        f"{options.epochs} epochs, {options.image_size} px, seed {options.seed}, {len(without)} test cases\n"
    )
    print("| test cases | without text | with text | difference (paired, 95 %) |")
    print("| --- | --- | --- | --- |")
    groups = {"all": without.index}
    for name in ("small", "medium", "large"):
        groups[f"{name} lesions"] = without.index[without["tercile"] == name]
    for name, ids in groups.items():
        a, b = without.loc[ids, "dice"].to_numpy(), taught.loc[ids, "dice"].to_numpy()
        patients = without.loc[ids, "patient"].fillna(pd.Series(ids, index=ids)).astype(str).tolist()
        gain = paired_difference(b, a, clusters=patients, seed=0)
        low, high = gain.ci95
        difference = f"{gain.mean:+.4f} ({low:+.4f} to {high:+.4f})"
        print(f"| {name} ({len(ids)}) | {a.mean():.4f} | {b.mean():.4f} | {difference} |")


if __name__ == "__main__":
    main()
