"""The command `lexiseg predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.commands.predict.options import (
    Explain,
    Out,
    Overlays,
    Paths,
    PredictRequest,
    RayAddress,
    ShardText,
    TarImages,
    Write,
    chosen_formats,
)
from lexiseg.cli.commands.predict.work import run_prediction
from lexiseg.cli.options.common import (
    RUN_HELP,
    AverageWith,
    BatchSize,
    Device,
    DryRun,
    Engine,
    FlipAverage,
    Frame,
    Precision,
    Shared,
    SpacingMm,
    Window,
)
from lexiseg.cli.options.volumes import Axis, SingleSlices, SmoothSlices
from lexiseg.clinic.view import parse_view


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    paths: Paths,
    out: Out = "predictions",
    write: Write = "mask",
    overlays: Overlays = False,
    explain: Explain = False,
    spacing_mm: SpacingMm = None,
    window: Window = None,
    frame: Frame = None,
    axis: Axis = "auto",
    smooth_slices: SmoothSlices = False,
    single_slices: SingleSlices = False,
    shard: ShardText = None,
    tar: TarImages = None,
    ray: RayAddress = None,
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    average_with: AverageWith = None,
    dry_run: DryRun = False,
    shared: Shared = False,
) -> None:
    """Segment images and volumes: write masks in their size, the retrieved words, and a review flag."""
    formats, view = chosen_formats(write, overlays=overlays, explain=explain), parse_view(window, frame)
    from lexiseg.inference.inputs.target_list import Shard
    from lexiseg.inference.options import PredictionOptions

    request = PredictRequest(
        run=run, paths=tuple(paths), out=out, formats=formats, axis=axis, smooth_slices=smooth_slices,
        single_slices=single_slices, shard=None if shard is None else Shard.parse(shard), tar=tar, ray=ray,
        options=PredictionOptions(
            device=device, engine=engine, precision=precision, flip_average=flip_average,
            average_with=average_with, batch_size=batch_size, spacing_mm=spacing_mm, view=view,
        ),
        dry_run=dry_run,
    )  # fmt: skip
    run_prediction(context, request)
