"""`lexiseg data check --with RUN` and `--folds N`: masks and reports that look wrong to a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.terminal.messages import progress_console, say, warn
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.errors import PartialFailureError, UsageError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.evaluation.options import PredictionKeywords
    from lexiseg.evaluation.suspicions.suspicion_file import Suspicions

#: The defaults of the options of prediction.
USUAL: PredictionKeywords = {
    "batch_size": 8,
    "device": "cpu",
    "engine": "auto",
    "precision": "fp32",
    "flip_average": False,
}
#: Number of cases that are printed.
_PRINTED = 10


def check_with(
    folder: Path,
    out: Path,
    *,
    run: Path | None,
    folds: int | None,
    config: Path | None,
    max_minutes: float | None,
    prediction: PredictionKeywords,
) -> Suspicions:
    """Check masks and reports with a run, or by folds, and write the results.

    Raises:
        UsageError: Both a run and folds are given, or options of trainings without folds, or options of
            prediction without both.
    """
    if run is not None and folds is not None:
        raise UsageError("Give --with RUN or --folds N, not both.", code="LEX-USE-902")
    if run is None and folds is None and prediction != USUAL:
        raise UsageError(
            "--batch-size, --device, --engine, --precision and --flip-average say how a run predicts. Add "
            "--with RUN or --folds 5, or leave them out.",
            code="LEX-USE-2001",
        )
    if folds is None and (config is not None or max_minutes is not None):
        raise UsageError(
            "--config and --max-minutes set the trainings of --folds. Add --folds 5, or leave them out.",
            code="LEX-USE-903",
        )
    from lexiseg import find_suspicions, find_suspicions_by_folds

    with counted_progress() as progress:
        task = progress.add_task("checking", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        if run is not None:
            return find_suspicions(run, folder, out, progress=show, **prediction)
        return find_suspicions_by_folds(
            folder,
            out,
            folds=folds or 0,
            config_file=config,
            training={"max_minutes": max_minutes},
            progress=show,
            console=progress_console(),
            **prediction,
        )


def show_suspicions(found: Suspicions, out: Path) -> None:
    """Print the most suspicious cases and where the rest is.

    Raises:
        PartialFailureError: Some cases could not be read.
    """
    if found.cases:
        say("rank score  error  case: first reason (score 0: the median of its error; 1: a tenth is above)")
    for case in found.cases[:_PRINTED]:
        why = f": {case.reasons[0]}" if case.reasons else ""
        say(f"{case.rank:>3}  {case.shown_score:>5}  {case.kind}  {case.id}{why}")
    for note in found.notes:
        say(note)
    if found.nothing_to_check:
        say(
            f"{counted(found.nothing_to_check, 'image has', 'images have')} neither a mask nor a report that "
            "can be read."
        )
    if found.left_out:
        say(
            f"{counted(found.left_out, 'image was', 'images were')} left out, as the run was trained on them."
        )
    say(f"{counted(found.checked, 'case')} checked. The first ones are shown in {out / 'suspicions.html'}.")
    if found.failed:
        for failed in found.failed:
            warn(f"{failed.id}: {failed.error}")
        raise PartialFailureError(
            f"{counted(len(found.failed), 'case')} could not be checked; each is named above and in "
            f"{out / 'suspicions.json'}.",
            code="LEX-PART-900",
        )
