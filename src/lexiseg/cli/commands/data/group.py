"""The commands under `lexiseg data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.commands.data import public_data
from lexiseg.cli.commands.data.describe import describe
from lexiseg.cli.commands.data.identifying_data import show_identifying
from lexiseg.cli.commands.data.suspicions import USUAL, check_with, show_suspicions
from lexiseg.cli.commands.data.suspicions_options import Config, Folds, MaxMinutes, Out, With
from lexiseg.cli.options.common import BatchSize, DataFolder, Device, Engine, FlipAverage, Precision
from lexiseg.cli.options.examples import examples_text
from lexiseg.cli.options.flag_help import GroupWithFlags
from lexiseg.cli.options.registration import register
from lexiseg.cli.terminal.messages import result_console, say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.errors import UsageError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.evaluation.options import PredictionKeywords

app = typer.Typer(
    cls=GroupWithFlags,
    help="Check, describe, download and import data sets.",
    epilog=examples_text("data"),
    no_args_is_help=True,
)


def check(
    data: DataFolder,
    out: Out = Path("suspicions"),
    with_run: With = None,
    folds: Folds = None,
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    config: Config = None,
    max_minutes: MaxMinutes = None,
    identifying: Annotated[
        bool,
        typer.Option(
            "--identifying",
            help="Look for data that may identify a patient instead: headers, private attributes, text in "
            "pixels, paths.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --identifying: refuse the folder if there is a sign.")
    ] = False,
) -> None:
    """Check files, masks, splits, reports and the side convention; exit code 1 if there are errors.

    With --with or --folds, check what masks and reports say instead, and rank the cases.
    """
    prediction: PredictionKeywords = {
        "batch_size": batch_size,
        "device": device,
        "engine": engine,
        "precision": precision,
        "flip_average": flip_average,
    }
    ranks = prediction != USUAL or any(v is not None for v in (with_run, folds, config, max_minutes))
    if identifying or strict:
        if ranks:
            raise UsageError(
                "--identifying and --strict look for identifying data only. Leave out --with, --folds and "
                "their options, and check masks and reports in a second call.",
                code="LEX-USE-2056",
            )
        show_identifying(data, strict=strict)
        return
    if ranks:
        found = check_with(
            data,
            out,
            run=with_run,
            folds=folds,
            config=config,
            max_minutes=max_minutes,
            prediction=prediction,
        )
        show_result(found)
        show_suspicions(found, out)
        return

    from lexiseg import check_dataset
    from lexiseg.data.check.report import render

    report = check_dataset(data)
    show_result(report.to_dict())
    render(report, result_console(markup=True))
    if report.has_errors:
        raise typer.Exit(1)


def phantom(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty folder.")],
    train: Annotated[int, typer.Option(min=1, help="Training images.")] = 240,
    val: Annotated[int, typer.Option(min=1, help="Validation images.")] = 60,
    test: Annotated[int, typer.Option(min=1, help="Test images.")] = 60,
    size: Annotated[int, typer.Option(min=64, help="Height and width in pixels.")] = 224,
    classes: Annotated[int, typer.Option(min=1, max=2, help="Number of lesion classes.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
) -> None:
    """Create a procedural data set: chest-like images, exact masks, true report sentences."""
    from lexiseg import write_phantom

    write_phantom(folder, num_train=train, num_val=val, num_test=test, size=size, seed=seed, classes=classes)
    show_result({"folder": folder, "images": {"train": train, "val": val, "test": test}})
    say(f"{counted(train + val + test, 'image')} written to {folder}.")


def croissant(
    data: DataFolder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write. Without it, croissant.json in the data set folder."),
    ] = None,
) -> None:
    """Describe a data set in the Croissant format: its facts, splits, files and sentences; no pixels."""
    from lexiseg import write_croissant

    file = write_croissant(data, out)
    show_result({"file": file})
    say(f"The description is in {file}. It holds the report sentences and file names.")


register(app, "data describe", describe)
register(app, "data list", public_data.list_datasets)
register(app, "data get", public_data.get)
register(app, "data import", public_data.import_)
register(app, "data check", check)
register(app, "data phantom", phantom)
register(app, "data croissant", croissant)
