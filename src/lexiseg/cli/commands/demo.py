"""The command `lexiseg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.options.common import Shared
from lexiseg.cli.terminal.messages import progress_console
from lexiseg.cli.terminal.output_mode import show_result


def demo(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA", help=r"Your own data set folder. \[default: a phantom that the demo creates]"
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all files of the demo.")] = Path(
        "demo"
    ),
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes of training.")] = 3.0,
    image_size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 160,
    shared: Shared = False,
) -> None:
    """Train, evaluate and predict in a few minutes, and list the result files."""
    from lexiseg.cli.commands.run_demo import run_demo

    show_result(run_demo(data, out, minutes=minutes, image_size=image_size, console=progress_console()))
