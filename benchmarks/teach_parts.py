"""Train CoTexNet taught by the sentence, by the pseudo-word, by both and by neither, and compare the four.

    python benchmarks/teach_parts.py DATA --out DIR [--epochs 5] [--image-size 160] [--seed 0]
        [--config FILE]

All four arms have the same network, seed, data order and steps. Prints a Markdown table: mean per-case Dice
on validation and test, the gap between image and text embedding on validation at the selected step, and the
paired difference to the arm taught by neither, with its 95 % interval (bootstrap over patients where ids are
known). An arm that is already finished in DIR is not trained again; an interrupted one is resumed.
"""

from __future__ import annotations

import argparse

from machine import describe_machine
from study_table import add_options, dice, paired, run_arms, run_of

from lexiseg.runs.run import Run

_ARMS = {"none": "neither", "sentence": "sentence only", "pseudo_word": "pseudo-word only", "both": "both"}


def gap(run: Run) -> str:
    """Return the gap at the selected step; a dash for an arm that distils nothing."""
    selected = str(run.finished_training.selected_step)
    found = [row.get("val/gap") for row in run.history if row["step"] == selected]
    return f"{float(found[0]):.3f}" if found and found[0] else "-"


def main() -> None:
    """Parse the arguments, train the arms, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--text", default="auto", help="reports, concepts, or auto")
    options = parser.parse_args()
    shared = {"epochs": options.epochs, "model": "cotexnet", "text": options.text}
    results = run_arms(options, {teach: {"teach": teach} for teach in _ARMS}, shared)
    baseline = results["none"].cases
    print(describe_machine())
    print(
        f"cotexnet, {options.epochs} epochs, {options.image_size} px, seed {options.seed}, "
        f"{len(baseline)} test cases\n"
    )
    print("| taught by | validation Dice | gap | test Dice | against neither (paired, 95 %) |")
    print("| --- | --- | --- | --- | --- |")
    for teach, result in results.items():
        run, cases = run_of(options, result), result.cases
        validation = run.finished_training.validation.dice
        difference = "-" if teach == "none" else paired(cases, baseline, baseline.index)
        print(
            f"| {_ARMS[teach]} | {validation:.4f} | {gap(run)} | {dice(cases, baseline.index).mean():.4f} | "
            f"{difference} |"
        )


if __name__ == "__main__":
    main()
