"""Options of `lexiseg data check --with RUN` and `--folds N`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

With = Annotated[
    Path | None,
    typer.Option(
        "--with",
        metavar="RUN",
        help="Check masks and reports with a run: missing and invented lesions, reports of another patient, "
        "swapped sides. Images that it was trained on are left out.",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        help="Check masks and reports with runs that are trained on parts of the data set, one per fold."
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder for suspicions.csv, .json and .html, with --with or --folds."),
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file with fields of the trainings of --folds, as for train.")
]
MaxMinutes = Annotated[
    float | None, typer.Option(help="Training time of each run of --folds in minutes, instead of epochs.")
]
