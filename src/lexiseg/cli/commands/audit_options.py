"""The options of `lexiseg audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg import choices
from lexiseg.systems.registry import names

Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Output folder. Several machines can work on the same folder at the same time.",
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        help=rf"Systems to audit, separated by commas: {', '.join(names(without_text=True))}. "
        rf"\[default: all]"
    ),
]
Arms = Annotated[
    str | None,
    typer.Option(
        help=r"Arms (what the models train with), separated by commas: none, pseudo_labels, shuffled, "
        r"reports, concepts. "
        r"\[default: all that the data set allows]"
    ),
]
ArmsFile = Annotated[
    Path | None, typer.Option(help="YAML file with further arms, see the documentation of the audit.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Number of trainings per arm; a verdict needs at least 2.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=r"Number of passes over the training images; every arm gets the same number of steps. "
        r"\[default: 40]",
    ),
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Number of training steps per arm, instead of epochs.")
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        help="Training time per arm in minutes, instead of epochs; a slower arm then gets fewer steps.",
    ),
]
ImageSize = Annotated[int | None, typer.Option(help=r"Height and width in pixels. \[default: 224]")]
Masks = Annotated[
    float | None,
    typer.Option(
        help=r"Share of the training masks to use, above 0 and up to 1. Each arm uses the images "
        r"without a "
        r"mask in its own way. \[default: all]"
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=2, help=r"Train on this many images, the same in every arm. \[default: all]"),
]
Split = Annotated[choices.Split, typer.Option(help="Split to compare on.")]
Config = Annotated[
    Path | None, typer.Option(help="YAML file with further fields of the configuration, for all arms.")
]
StaleMinutes = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="If another process gives no signal for this many minutes, this process takes over its arm.",
    ),
]
