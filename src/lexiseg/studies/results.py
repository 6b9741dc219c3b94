"""The results of the trials of a study, read from their run folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lexiseg.data import Split
from lexiseg.errors import DataError, RunError
from lexiseg.evaluation.scores.case_table import read_cases
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.json_records import read_record
from lexiseg.printable import counted
from lexiseg.runs.manifest import FinishedTraining
from lexiseg.runs.run import Run
from lexiseg.studies.trials import Study
from lexiseg.studies.undertraining import last_rise
from lexiseg.training.steps.callbacks import HISTORY


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The result of a trial.

    Attributes:
        arm: Name of its arm.
        seed: Its seed.
        cases: Its scored cases, indexed by id, see `read_cases`.
        metrics: Its `metrics.json`.
        training: How it was trained.
        last_rise: By how much its validation Dice rose in the last quarter; None if that is not known.
    """

    arm: str
    seed: int
    cases: pd.DataFrame
    metrics: Metrics
    training: FinishedTraining
    last_rise: float | None

    @property
    def name(self) -> str:
        """Name of its run folder."""
        return f"{self.arm}-s{self.seed}"


def read_results(study: Study) -> list[TrialResult]:
    """Read the results of all trials, in the order of the trials.

    Raises:
        RunError: A file is damaged, or two trials were evaluated on different cases.
        DataError: A table of cases is damaged.
    """
    results = [
        read_result(trial.arm, trial.seed, study.run_folder(trial), study.evaluation.split)
        for trial in study.trials
    ]
    same_cases(results)
    return results


def read_result(arm: str, seed: int, folder: Path, split: Split) -> TrialResult:
    """Read the result of one trial from its run folder.

    Raises:
        RunError: `metrics.json` is damaged.
        DataError: `cases.csv` is damaged.
    """
    try:
        metrics = read_record(
            folder / split / "metrics.json", Metrics, remedy="Remove it to evaluate the arm again."
        )
    except DataError as error:
        raise RunError(str(error), code="LEX-RUN-017") from error
    return TrialResult(
        arm=arm,
        seed=seed,
        cases=read_cases(folder / split / "cases.csv"),
        metrics=metrics,
        training=Run.open(folder).finished_training,
        last_rise=last_rise(folder / HISTORY),
    )


def same_cases(results: Sequence[TrialResult]) -> None:
    """Refuse trials that were evaluated on different cases.

    Raises:
        RunError: Two trials were evaluated on different cases.
    """
    first = results[0]
    for result in results[1:]:
        if set(result.cases.index) != set(first.cases.index):
            raise RunError(
                f"{result.name} was evaluated on {counted(len(result.cases), 'case')} and {first.name} on "
                f"{len(first.cases)}, and these are not the same cases. Remove their evaluations, and run "
                f"the command again.",
                code="LEX-RUN-018",
            )


def dice_table(results: Sequence[TrialResult], ids: pd.Index) -> npt.NDArray[np.float64]:
    """Return the Dice of the results, one row per result, one column per case `(results, cases)`."""
    return np.stack([result.cases.loc[ids, "dice"].to_numpy(dtype=np.float64) for result in results])
