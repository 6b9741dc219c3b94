"""Prediction of volumes by `lexiseg predict`, and what it says about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lexiseg.cli.options.volumes import SPACING_UNUSED
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.errors import LexisegError, PartialFailureError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.cli.commands.predict.job import PredictJob
    from lexiseg.inference.volumes.volume_summary import VolumeSummary


def predict_volumes(job: PredictJob) -> VolumeSummary:
    """Predict volumes, with a progress bar.

    Raises:
        KeyboardInterrupt: A person stopped it; the message says how it goes on.
    """
    from lexiseg import predict_volumes_to_files

    if job.request.options.spacing_mm is not None:
        warn(SPACING_UNUSED)
    with counted_progress() as progress:
        task = progress.add_task("predicting volumes", total=len(job.inputs.volumes))

        def show(label: str, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {job.named(str(result))}")

        try:
            return predict_volumes_to_files(
                job.predictor,
                job.inputs.volumes,
                job.place,
                formats=job.request.formats,
                axis=job.request.axis,
                smooth_slices=job.request.smooth_slices,
                keep_job=bool(job.inputs.images),
                on_result=show,
                on_resumed=lambda label: progress.advance(task),
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                f"The files so far are in {job.place}. Run the command again: it goes on with the rest."
            ) from interrupt


def end_volumes(job: PredictJob) -> None:
    """End the prediction of volumes after that of the images: the next command begins anew."""
    from lexiseg.inference.volumes.batch import end_volume_job

    end_volume_job(job.place)


def say_volumes(summary: VolumeSummary, *, results: str | None, named: Callable[[str], str]) -> None:
    """Say how many volumes were segmented, what was assumed, and which outputs are missing.

    Args:
        summary: The counts of volumes.
        results: The file of their lines; None where they are uploaded later, and their URL is said then.
        named: Returns a message in which private copies have the names of their sources.
    """
    planes = ", ".join(f"{plane}: {count}" for plane, count in summary.planes)
    volumes = counted(summary.done + len(summary.failed), "volume")
    if summary.resumed:
        resumed = counted(summary.resumed, "volume")
        say(f"Not predicted again, as an interrupted command had finished them: {resumed}.")
    say(
        f"{summary.done} of {volumes} segmented, {counted(summary.slices, 'slice')}"
        f"{f' ({planes})' if planes else ''}; {summary.flagged} flagged for review."
        f"{'' if results is None else f' Results: {results}'}"
    )
    for sentence, count in summary.assumptions:
        say(f"{sentence} ({counted(count, 'volume')})")
    for volume, name, reason in summary.refused:
        warn(f"The {name} of {named(volume)} is not written: {reason}")


def volume_failure(summary: VolumeSummary, results: str) -> PartialFailureError | None:
    """Return the error of volumes, or of outputs, that are missing.

    Args:
        summary: The counts of volumes.
        results: The file or the URL of their lines.
    """
    if summary.failed:
        volumes = counted(summary.done + len(summary.failed), "volume")
        return PartialFailureError(
            f"{len(summary.failed)} of {volumes} could not be predicted; each is named above and in "
            f"{results}.",
            code="LEX-PART-1180",
        )
    if summary.refused:
        return PartialFailureError(
            f"{counted(len(summary.refused), 'output of volumes was', 'outputs of volumes were')} not "
            f"written; each is named above and in {results}.",
            code="LEX-PART-1181",
        )
    return None
