"""The options of `lexiseg data describe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg import choices
from lexiseg.choices import DescriptionSource
from lexiseg.cli.options.common import named_values

Out = Annotated[
    Path, typer.Option("--out", "-o", help="File to write, ending in .jsonl, for `train --text FILE`.")
]
Source = Annotated[
    DescriptionSource,
    typer.Option(
        help="concepts: measure mask and pixels; reports: read the sheet; lmm: a multimodal model "
        "describes each region of interest."
    ),
]
if TYPE_CHECKING:
    Splits = list[choices.Split]
else:
    Splits = list[str]
Split = Annotated[
    Splits | None,
    named_values(choices.Split, help=r"Split to describe; repeat the option for several. \[default: all]"),
]
Vocabulary = Annotated[
    str | None,
    typer.Option(
        help=r"Vocabulary: chest, polyp, or a YAML file. \[default: that of the data set, or the one "
        r"that "
        r"can read its sheet]"
    ),
]
Rois = Annotated[Path | None, typer.Option(help="Folder for the regions of interest, as PNG files.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="lmm: name of the model on the server; without --base-url, a transformers model by hub name "
        "or folder."
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="lmm: OpenAI-compatible server, such as http://localhost:8000/v1. Its key comes from the "
        "environment variable LEXISEG_LMM_KEY."
    ),
]
Unencrypted = Annotated[
    bool | None,
    typer.Option(
        "--unencrypted",
        help="lmm: send the key to another machine without encryption; others on the network can read it.",
    ),
]
Tries = Annotated[
    int | None,
    typer.Option(min=1, help=r"lmm: attempts per region; if all fail, the region is measured. \[default: 3]"),
]
Concurrency = Annotated[
    int | None, typer.Option(min=1, help=r"lmm: number of questions sent at the same time. \[default: 4]")
]
Timeout = Annotated[
    float | None, typer.Option(min=0.1, help=r"lmm: time limit per question in seconds. \[default: 120]")
]
Price = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="INPUT OUTPUT",
        help="lmm: price of a million input tokens and of a million output tokens.",
    ),
]
