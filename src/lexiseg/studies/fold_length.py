"""What a check by folds says before its trainings: how many there are, how long they take, where they go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lexiseg.console import duration_text
from lexiseg.data import DatasetIndex
from lexiseg.printable import counted
from lexiseg.runs.manifest import MANIFEST_FILE
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.forecast import forecast_on
from lexiseg.training.resume import is_finished


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
    each, whole = (duration_text(60 * number * found.minutes) for number in (1, len(missing)))
    more = "" if config.max_minutes is not None else " --max-minutes limits each training."
    console.print(
        f"Time: about {each} for a training, about {whole} for {counted(len(missing), 'training')} on "
        f"{found.device}.{more}",
        highlight=False,
    )


def is_trained_run(folder: Path) -> bool:
    """Return whether a folder holds a run whose training is finished."""
    return (folder / MANIFEST_FILE).is_file() and is_finished(folder)
