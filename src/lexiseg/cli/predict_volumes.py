"""Prediction of volumes by `lexiseg predict`, and what it says about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.common_options import progress_bar, say, warn
from lexiseg.errors import LexisegError, PartialFailureError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.cli.predict_job import PredictJob
    from lexiseg.inference.volumes.batch import VolumeSummary


def predict_volumes(job: PredictJob) -> tuple[VolumeSummary, PartialFailureError | None]:
    """Predict volumes and say what was done; return that, and the error of those that failed."""
    from lexiseg.inference.volumes.batch import predict_volumes_to_files

    volumes = len(job.inputs.volumes)
    with progress_bar() as progress:
        task = progress.add_task("predicting volumes", total=volumes)

        def show(path: Path, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {job.named(str(result))}")

        summary = predict_volumes_to_files(
            job.predictor,
            job.inputs.volumes,
            job.place,
            formats=job.request.formats,
            axis=job.request.axis.value,
            smooth=job.request.smooth_slices,
            on_result=show,
        )
    planes = ", ".join(f"{plane}: {count}" for plane, count in summary.planes)
    say(
        f"{summary.done} of {counted(volumes, 'volume')} segmented, {counted(summary.slices, 'slice')}"
        f"{f' ({planes})' if planes else ''}; {summary.flagged} flagged for review. Results: "
        f"{summary.results}"
    )
    for sentence, count in summary.assumptions:
        say(f"{sentence} ({counted(count, 'volume')})")
    for path, name, reason in summary.refused:
        warn(f"The {name} of {job.named(str(path))} is not written: {reason}")
    return summary, _failure(summary, volumes)


def _failure(summary: VolumeSummary, volumes: int) -> PartialFailureError | None:
    """Return the error of volumes, or of outputs, that are missing."""
    if summary.failed:
        return PartialFailureError(
            f"{len(summary.failed)} of {counted(volumes, 'volume')} could not be predicted; each is "
            f"named above and in {summary.results}.",
            code="LEX-PART-1180",
        )
    if summary.refused:
        return PartialFailureError(
            f"{counted(len(summary.refused), 'output of volumes was', 'outputs of volumes were')} not "
            f"written; each is named above and in {summary.results}.",
            code="LEX-PART-1181",
        )
    return None
