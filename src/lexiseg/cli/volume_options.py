"""Options of volumes for `lexiseg predict`, and the part of it that predicts volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.common_options import progress_bar, say, warn
from lexiseg.errors import LexisegError, PartialFailureError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.volumes.batch import VolumeSummary
    from lexiseg.inference.volumes.targets import VolumeTarget


class AxisOption(StrEnum):
    """The slices of volumes, as an option."""

    AUTO = "auto"
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    I = "i"  # noqa: E741
    J = "j"
    K = "k"


Axis = Annotated[
    AxisOption,
    typer.Option(
        "--axis",
        help="Volumes: the slices to predict, by the plane of the body or the voxel axis. auto: the acquired "
        "slices, or those along the longest side of a voxel, or axial ones.",
    ),
]
SmoothSlices = Annotated[
    bool,
    typer.Option(
        "--smooth-slices",
        help="Volumes: average each probability with those of the two neighbouring slices.",
    ),
]
SingleSlices = Annotated[
    bool,
    typer.Option(
        "--single-slices",
        help="Predict the slices of a DICOM series as images of their own, not as a volume.",
    ),
]


def predict_volumes(
    predictor: Predictor,
    targets: Sequence[VolumeTarget],
    out: Path,
    *,
    formats: Sequence[str],
    axis: AxisOption,
    smooth: bool,
    named: Callable[[str], str],
) -> tuple[VolumeSummary, PartialFailureError | None]:
    """Predict volumes and say what was done; return that, and the error of those that failed.

    Args:
        predictor: The predictor.
        targets: The volumes.
        out: The output folder.
        formats: Output formats.
        axis: The slices.
        smooth: Whether labels are smoothed between slices.
        named: Returns a message in which private copies have the names of their sources.
    """
    from lexiseg.inference.volumes.batch import predict_volumes_to_files

    with progress_bar() as progress:
        task = progress.add_task("predicting volumes", total=len(targets))

        def show(path: Path, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {named(str(result))}")

        summary = predict_volumes_to_files(
            predictor, targets, out, formats=formats, axis=axis.value, smooth=smooth, on_result=show
        )
    planes = ", ".join(f"{plane}: {count}" for plane, count in summary.planes)
    say(
        f"{summary.done} of {counted(len(targets), 'volume')} segmented, {counted(summary.slices, 'slice')}"
        f"{f' ({planes})' if planes else ''}; {summary.flagged} flagged for review. Results: "
        f"{summary.results}"
    )
    for sentence, count in summary.assumptions:
        say(f"{sentence} ({counted(count, 'volume')})")
    for path, name, reason in summary.refused:
        warn(f"The {name} of {named(str(path))} is not written: {reason}")
    if summary.failed:
        return summary, PartialFailureError(
            f"{len(summary.failed)} of {counted(len(targets), 'volume')} could not be predicted; each is "
            f"named above and in {summary.results}.",
            code="LEX-PART-1180",
        )
    if summary.refused:
        return summary, PartialFailureError(
            f"{counted(len(summary.refused), 'output of volumes was', 'outputs of volumes were')} not "
            f"written; each is named above and in {summary.results}.",
            code="LEX-PART-1181",
        )
    return summary, None
