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

The run folders of the two baselines serve this command alone: `lexiseg predict` does not know their networks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import segmentation_models_pytorch as smp
import torch
from arms import dice, paired, run_arm
from machine import describe_machine
from rich.console import Console
from torch import Tensor, nn

from lexiseg.data import open_dataset
from lexiseg.evaluation.evaluate import evaluate_predictor
from lexiseg.inference import members, predictor
from lexiseg.models.encoder_weights import load_encoder_weights
from lexiseg.models.plain_network import MaskObjective
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.weights_file import channels_last
from lexiseg.runs.run import Run
from lexiseg.training.checks import check_splits
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.few_masks import take_part
from lexiseg.training.loop import Training
from lexiseg.training.module import SegmentationModule
from lexiseg.training.plan import plan_run
from lexiseg.training.resume import continue_run

ARCHITECTURES = {"unet": smp.Unet, "unetplusplus": smp.UnetPlusPlus}
TITLES = {
    "unet": "U-Net",
    "unetplusplus": "U-Net++",
    "stpnet-none": "STPNet compact, no text",
    "stpnet": "STPNet compact",
    "cotexnet-none": "CoTexNet compact, no text",
    "cotexnet": "CoTexNet compact",
}


@dataclass(frozen=True)
class Output:
    """What Lexiseg's training and prediction expect of a network: raw mask scores, and no words."""

    logits: Tensor
    retrieval: dict[str, Tensor] = field(default_factory=dict)


class Baseline(nn.Module):
    """A network of segmentation_models_pytorch on a timm encoder, with Lexiseg's ImageNet weights.

    Args:
        architecture: A key of `ARCHITECTURES`.
        encoder: timm's name of the encoder.
        out_channels: 1, or the number of classes with the background.
        start: "imagenet", "none", or a weights file.
    """

    def __init__(self, architecture: str, encoder: str, out_channels: int, start: str) -> None:
        super().__init__()
        self.body = ARCHITECTURES[architecture](f"tu-{encoder}", encoder_weights=None, classes=out_channels)
        if start != "none":
            load_encoder_weights(encoder, self.encoder, path=None if start == "imagenet" else start)

    @property
    def encoder(self) -> nn.Module:
        """The timm encoder inside; its early layers stop learning as in Lexiseg's networks."""
        return self.body.encoder.model

    def forward(self, image: Tensor) -> Output:
        """Segment `(B, 3, H, W)` normalised images."""
        return Output(self.body(image))


class BaselineTraining(Training):
    """Lexiseg's training of another network: data, schedule, selection and the rest are inherited."""

    architecture = "unet"

    def module(self) -> SegmentationModule:
        """Build the network with the mask losses; the random start depends on the seed alone."""
        config, manifest = self.config, self.plan.manifest
        torch.manual_seed(config.seed)
        network = Baseline(
            self.architecture,
            config.encoder,
            manifest.network.out_channels,
            "none" if self.goes_on else config.encoder_weights,
        )
        return SegmentationModule(
            channels_last(network),
            MaskObjective(),
            config=config,
            progress=self.progress,
            steps_per_epoch=self.steps_per_epoch,
            mean=manifest.mean,
            std=manifest.std,
        )


@contextmanager
def predicting_with(architecture: str) -> Iterator[None]:
    """Let Lexiseg's predictor build this architecture, which no run folder can describe."""

    def build(spec: NetworkSpec, bank: object) -> nn.Module:
        return Baseline(architecture, spec.encoder, spec.out_channels, "none")

    with patch.object(members, "build_network", build):
        yield


def run_baseline(architecture: str, data: Path, folder: Path, options: dict[str, Any]) -> pd.DataFrame:
    """Train and evaluate a baseline; return its test cases, indexed by id."""
    console = Console(width=140)
    config_file = options.pop("config_file")
    index = open_dataset(data, seed=options["seed"])
    check_splits(index)
    resume = (folder / "run.json").is_file()
    if resume:
        config = make_config({}, folder / CONFIG_FILE)
        use = take_part(index, config)
        plan = continue_run(use, Run.open(folder), config)
    else:
        config = make_config({**options, "model": "stpnet", "text": "none"}, config_file)
        use = take_part(index, config)
        plan = plan_run(use, config, console)
    training = BaselineTraining(use, plan, config, out=folder, resume=resume, console=console)
    training.architecture = architecture
    finished = resume and Run.open(folder).manifest.training.finished
    with predicting_with(architecture):
        run = Run.open(folder) if finished else training.run()
        evaluate_predictor(predictor.Predictor(run), index, split="test", out=folder / "test")
    return pd.read_csv(folder / "test" / "cases.csv").set_index("id")


def run_row(name: str, data: Path, folder: Path, options: dict[str, Any]) -> pd.DataFrame:
    """Train and evaluate one row of the table; return its test cases, indexed by id."""
    if name in ARCHITECTURES:
        return run_baseline(name, data, folder, dict(options))
    model, _, text = name.partition("-")
    return run_arm(data, folder, model=model, text=text or "auto", **options)


def print_table(rows: dict[str, pd.DataFrame], folders: dict[str, Path]) -> None:
    """Print one Markdown row per network."""
    first = next(iter(rows))
    ids = rows[first].index
    print(
        f"| network | parameters | steps | Dice | small lesions | pooled Dice | against {TITLES[first]} "
        f"(paired, 95 %) |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, cases in rows.items():
        run = Run.open(folders[name])
        metrics = json.loads((folders[name] / "test" / "metrics.json").read_text(encoding="utf-8"))
        small = cases.index[cases["tercile"] == "small"]
        against = "-" if name == first else paired(cases, rows[first], ids)
        print(
            f"| {TITLES[name]} | {run.manifest.network.num_parameters / 1e6:.2f} M | "
            f"{run.finished_training.steps} | {dice(cases, ids).mean():.4f} | "
            f"{dice(cases, small).mean():.4f} | {metrics['pooled_dice']:.4f} | {against} |"
        )


def main() -> None:
    """Parse the arguments, train every row, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=int)
    budget.add_argument("--steps", type=int)
    budget.add_argument("--max-minutes", type=float)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")
    rows_help = f"rows, by commas, of {', '.join(TITLES)}"
    parser.add_argument("--models", default="unet,unetplusplus,stpnet-none,stpnet", help=rows_help)
    given = parser.parse_args()
    names = given.models.split(",")
    if unknown := [name for name in names if name not in TITLES]:
        parser.error(f"--models lists some of {', '.join(TITLES)}; got {', '.join(unknown)}")
    lengths = {"epochs": given.epochs, "steps": given.steps, "max_minutes": given.max_minutes}
    length = {name: value for name, value in lengths.items() if value is not None} or {"epochs": 5}
    options = {**length, "image_size": given.image_size, "seed": given.seed, "config_file": given.config}
    folders = {name: given.out / name for name in names}
    rows = {name: run_row(name, given.data, folder, options) for name, folder in folders.items()}
    print(describe_machine())
    said = ", ".join(f"{value:g} {name.replace('max_', '')}" for name, value in length.items())
    print(
        f"{said}, {given.image_size} px, seed {given.seed}, {len(rows[names[0]])} test cases, "
        f"segmentation_models_pytorch {smp.__version__}\n"
    )
    print_table(rows, folders)


if __name__ == "__main__":
    main()
