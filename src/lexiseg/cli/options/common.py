"""Options that several commands use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from lexiseg.choices import PrecisionChoice
from lexiseg.engines.option_names import advice
from lexiseg.engines.registry import ENGINES, engine_choices, with_precision
from lexiseg.files import share_files
from lexiseg.runs.shipped import model_names

# The values of options are `Literal`s, the types that functions take: a new value is in one place, and typer
# reads them as they are. An enumeration would repeat the values, and each command would have to
# turn its members into texts. Where the values are names in a registry, the `Literal` is made of it, and type
# checkers see a text. typer reads no lists of `Literal`s: such an option is a list of texts to it, with
# `named_values`.
if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[engine_choices()]


def named_values(kind: Any, *flags: str, help: str) -> Any:
    """Return an option whose values other programs name otherwise; its message says which one is meant.

    Args:
        kind: The `Literal` of the values.
        *flags: The option; without any, typer names it after the parameter.
        help: Its help.
    """
    names = get_args(kind)

    def parse(text: str) -> str:
        if text in names:
            return text
        known = ", ".join(f"'{name}'" for name in names)
        raise typer.BadParameter(f"'{text}' is not one of {known}.{advice(text)}")

    # typer completes the values of a `Literal`, but not those of a parser.
    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return typer.Option(*flags, parser=parse, autocompletion=complete, metavar="|".join(names), help=help)


def _checked_device(text: str) -> str:
    """Refuse the name that other programs have for a device; torch knows all others."""
    if meant := advice(text):
        raise typer.BadParameter(f"'{text}' is no device here.{meant}")
    return text


_FROM_WEIGHTS = ", ".join(kind.name for kind in ENGINES if not kind.files)
_FROM_FILES = " and ".join(kind.name for kind in ENGINES if kind.files)
_WITH_BF16 = " or ".join(kind.name for kind in with_precision("bf16"))

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
Device = Annotated[
    str,
    typer.Option(
        "--device",
        parser=_checked_device,
        metavar="auto|cpu|cuda",
        help="Where the network is computed. auto: on a GPU if torch finds one, else on the CPU; cuda:1: on "
        "the second GPU.",
    ),
]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help=f"What computes the network: {_FROM_WEIGHTS}, or {_FROM_FILES}, which need a model file of "
        "`lexiseg export`; auto chooses.",
    ),
]
Precision = Annotated[
    PrecisionChoice,
    named_values(
        PrecisionChoice,
        "--precision",
        help=f"Type of the numbers to compute with; bf16 needs {_WITH_BF16}; auto: bf16 where the engine is "
        f"{_WITH_BF16} and the processor has it.",
    ),
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
Window = Annotated[
    str | None,
    typer.Option(
        help="DICOM and volumes: centre and width of the grey values shown, such as 40,400; or body-part for "
        "CT images. Default: the window of the file."
    ),
]
Frame = Annotated[
    int | None,
    typer.Option(help="DICOM: number of the frame, from 1, in files with several frames."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Only say what would be done: images, time and files. Nothing is written."
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Number of images per pass through the network.")]
SpacingMm = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="HEIGHT WIDTH",
        help="Height and width of a pixel in mm, in each image that is read. Areas are then also given in "
        "mm2. Volumes state their own.",
    ),
]
DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder.")]
BootstrapSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap intervals.")]
