"""Train U-Net and U-Net++ as baselines beside Lexiseg's networks, and print one table.

    python benchmarks/baselines.py DATA --out DIR [--epochs 5 | --steps N | --max-minutes M]
        [--image-size 160] [--seed 0] [--config FILE]
        [--models unet,unetplusplus,stpnet-none,stpnet,cotexnet-none,cotexnet]

U-Net and U-Net++ are those of segmentation_models_pytorch (extra `dev`). Every row has the same image encoder
with the same ImageNet weights, the same images in the same order with the same random changes, the same mask
losses, optimiser, schedule and averaged weights, the same budget, the same selection on validation, and the
same evaluation on the test split. Rows that end in "none" are Lexiseg's networks without text. CoTexNet's two
rows are left out unless `--models` lists them, as above. Prints a Markdown table with the paired difference
to the first row, 95 % interval over patients of this one pair of trainings. A row that is finished in DIR is
not trained again; an interrupted one is resumed.

The two baselines are systems that this command registers (`unet_systems.py`): `lexiseg predict` does not know
their runs.
"""

from __future__ import annotations

import argparse

import segmentation_models_pytorch as smp
from machine import describe_machine
from study_table import add_options, dice, paired, run_arms, run_of
from unet_systems import register_unets

from lexiseg.studies.results import TrialResult

TITLES = {
    "unet": "U-Net",
    "unetplusplus": "U-Net++",
    "stpnet-none": "STPNet compact, no text",
    "stpnet": "STPNet compact",
    "cotexnet-none": "CoTexNet compact, no text",
    "cotexnet": "CoTexNet compact",
}
#: What each row is trained as.
ROWS = {
    "unet": {"model": "unet", "text": "none"},
    "unetplusplus": {"model": "unetplusplus", "text": "none"},
    "stpnet-none": {"model": "stpnet", "text": "none"},
    "stpnet": {"model": "stpnet", "text": "auto"},
    "cotexnet-none": {"model": "cotexnet", "text": "none"},
    "cotexnet": {"model": "cotexnet", "text": "auto"},
}


def print_table(rows: dict[str, TrialResult], options: argparse.Namespace) -> None:
    """Print one Markdown row per network."""
    first = next(iter(rows))
    baseline = rows[first].cases
    print(
        f"| network | parameters | steps | Dice | small lesions | pooled Dice | against {TITLES[first]} "
        f"(paired, 95 %) |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, result in rows.items():
        parameters = run_of(options, result).manifest.network.num_parameters
        small = result.cases.index[result.cases["tercile"] == "small"]
        against = "-" if name == first else paired(result.cases, baseline, baseline.index)
        print(
            f"| {TITLES[name]} | {parameters / 1e6:.2f} M | {result.training.steps} | "
            f"{dice(result.cases, baseline.index).mean():.4f} | {dice(result.cases, small).mean():.4f} | "
            f"{result.metrics.pooled_dice:.4f} | {against} |"
        )


def main() -> None:
    """Parse the arguments, train every row, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=int)
    budget.add_argument("--steps", type=int)
    budget.add_argument("--max-minutes", type=float)
    rows_help = f"rows, by commas, of {', '.join(TITLES)}"
    parser.add_argument("--models", default="unet,unetplusplus,stpnet-none,stpnet", help=rows_help)
    given = parser.parse_args()
    names = given.models.split(",")
    if unknown := [name for name in names if name not in TITLES]:
        parser.error(f"--models lists some of {', '.join(TITLES)}; got {', '.join(unknown)}")
    lengths = {"epochs": given.epochs, "steps": given.steps, "max_minutes": given.max_minutes}
    length = {name: value for name, value in lengths.items() if value is not None} or {"epochs": 5}
    register_unets()
    rows = run_arms(given, {name: ROWS[name] for name in names}, length)
    print(describe_machine())
    said = ", ".join(f"{value:g} {name.replace('max_', '')}" for name, value in length.items())
    print(
        f"{said}, {given.image_size} px, seed {given.seed}, {len(rows[names[0]].cases)} test cases, "
        f"segmentation_models_pytorch {smp.__version__}\n"
    )
    print_table(rows, given)


if __name__ == "__main__":
    main()
