"""The command `lexiseg compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.choices import Split
from lexiseg.cli.options.common import (
    RUN_HELP,
    AllowLeak,
    BatchSize,
    BootstrapSeed,
    DataFolder,
    Device,
    Engine,
    FlipAverage,
    Precision,
    Shared,
    Tolerance,
)
from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.cli.terminal.result_tables import show_comparison
from lexiseg.errors import PartialFailureError
from lexiseg.printable import counted


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help=RUN_HELP)],
    run_b: Annotated[
        Path, typer.Argument(metavar="RUN_B", help="Run folder or shipped model to compare RUN_A with.")
    ],
    data: DataFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help=r"Folder for both evaluations and the comparison. \[default: nothing is kept]"
        ),
    ] = None,
    split: Annotated[Split, typer.Option(help="Split to compare on.")] = "test",
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    tolerance: Tolerance = 2.0,
    seed: BootstrapSeed = 0,
    allow_leak: AllowLeak = False,
    shared: Shared = False,
) -> None:
    """Compare two runs case by case: difference with interval, by lesion size, and the largest changes."""
    from lexiseg import compare as run_comparison

    with counted_progress() as progress:
        task = progress.add_task("evaluating", total=None)
        found = run_comparison(
            run_a,
            run_b,
            data,
            split=split,
            out=out,
            batch_size=batch_size,
            device=device,
            engine=engine,
            precision=precision,
            flip_average=flip_average,
            tolerance=tolerance,
            seed=seed,
            allow_leak=allow_leak,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    show_result(found)
    show_comparison(found)
    if out is not None:
        say(f"Page: {out / 'comparison.html'}")
    if found.failed:
        raise PartialFailureError(
            f"{counted(len(found.failed), 'case')} could not be scored: {', '.join(found.failed[:5])}.",
            code="LEX-PART-006",
        )
