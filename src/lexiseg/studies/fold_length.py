"""What a check by folds says before its trainings: how many there are, how long they take, where they go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lexiseg.console import duration_text
from lexiseg.data import DatasetIndex
from lexiseg.printable import counted
from lexiseg.runs.manifest import MANIFEST_FILE
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.forecast import TrainingForecast, forecast_on
from lexiseg.training.resume import is_finished
from lexiseg.training.steps.callbacks import CHECKPOINT


def say_trainings(
    parts: Sequence[DatasetIndex], places: Sequence[Path], config: TrainConfig, console: Console
) -> None:
    """Say how many trainings a check by folds does, in which folder, and about how long they take.

    Some steps of the first training are measured.

    Args:
        parts: What the run of each fold is trained on.
        places: Folder of the run of each fold.
        config: The configuration of all runs.
        console: Where to say it.
    """
    missing = [(part, place) for part, place in zip(parts, places, strict=True) if not is_trained_run(place)]
    finished = len(parts) - len(missing)
    before = f"; {finished} of them finished before" if finished else ""
    console.print(
        f"{counted(len(parts), 'fold')}, a training for each, one after the other{before}. "
        f"Runs: {places[0].parent}",
        highlight=False,
    )
    if not missing:
        return
    part, place = missing[0]
    found = forecast_on(part, config, place)
    shares = [_share_left(place, found, config) for _, place in missing]
    each, whole = (duration_text(60 * number * found.minutes) for number in (1, sum(shares)))
    begun = sum(share < 1 for share in shares)
    goes_on = f", {begun} of which {'goes' if begun == 1 else 'go'} on after an interruption" if begun else ""
    more = "" if config.max_minutes is not None else " --max-minutes limits each training."
    console.print(
        f"Time: about {each} for a training, about {whole} for {counted(len(missing), 'training')}{goes_on} "
        f"on {found.device}.{more}",
        highlight=False,
    )


def _share_left(folder: Path, found: TrainingForecast, config: TrainConfig) -> float:
    """Return the share of a training that is still to do, 0 to 1; less than 1 for an interrupted one.

    Args:
        folder: Folder of its run.
        found: The forecast of a whole training.
        config: The configuration.
    """
    # Without a checkpoint, an interrupted training starts again.
    if not ((folder / MANIFEST_FILE).is_file() and (folder / CHECKPOINT).is_file()):
        return 1.0
    rows = Run.open(folder.absolute()).history
    last = rows[-1] if rows else {}
    done, whole = float(last.get("step") or 0), float(found.steps)
    if config.max_minutes is not None:
        done, whole = float(last.get("minutes") or 0), found.minutes
    return min(1.0, max(0.0, 1 - done / whole))


def is_trained_run(folder: Path) -> bool:
    """Return whether a folder holds a run whose training is finished."""
    return (folder / MANIFEST_FILE).is_file() and is_finished(folder)
