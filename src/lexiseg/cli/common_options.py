"""Options, progress bar and message functions that several commands use."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lexiseg.console import PrintableConsole
from lexiseg.files import share_files
from lexiseg.runs.shipped import model_names


class SplitName(StrEnum):
    """A split, as an option."""

    TEST = "test"
    VAL = "val"
    TRAIN = "train"


class EngineName(StrEnum):
    """An engine, as an option."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"


class PrecisionName(StrEnum):
    """A type of numbers, as an option."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


#: Help of an argument that names a trained model.
RUN_HELP = f"Run folder, or a model that comes with Lexiseg: {', '.join(model_names())}."

FlipAverage = Annotated[
    bool,
    typer.Option(
        "--flip-average",
        help="Predict each image and its mirror image, and average both: slower, often better.",
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        help="Distance between outlines that surface Dice accepts: in mm if the pixel size is known, else "
        "in pixels.",
    ),
]
Device = Annotated[str, typer.Option(help="torch device: cpu, cuda:0, ...")]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What computes the network: torch, or onnx and openvino, which need a model file of `lexiseg "
        "export`; auto chooses.",
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option("--precision", help="Type of the numbers to compute with; bfloat16 needs openvino."),
]
AverageWith = Annotated[
    Path | None,
    typer.Option(
        help="Average the predictions with those of a second run or shipped model, which must have the same "
        "classes and words: half as fast, often better."
    ),
]
AllowLeak = Annotated[
    bool,
    typer.Option(
        "--allow-leak",
        help="Use splits that share images or patients all the same; all results say so.",
    ),
]


def _share(shared: bool) -> bool:
    share_files(shared)
    return shared


Shared = Annotated[
    bool,
    typer.Option(
        "--shared",
        callback=_share,
        help="Let other users read the files that are written, as far as the umask allows; otherwise only "
        "you can read them.",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images per pass through the network.")]


def progress_bar() -> Progress:
    """Return a progress bar with a count on stderr; it is shown on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = PrintableConsole(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def narrator() -> Console:
    """Return a console that wraps lines on a terminal only: in a log, each message is one line."""
    return PrintableConsole(soft_wrap=not sys.stdout.isatty())


def warn(message: str) -> None:
    """Print one message on stderr, as it is, in yellow."""
    errors = PrintableConsole(stderr=True, soft_wrap=True, highlight=False)
    errors.print(message, style="yellow")


def say(message: str) -> None:
    """Print one message, as it is."""
    PrintableConsole(soft_wrap=True, highlight=False).print(message)
