"""What the arms of an audit came to, read from their folders."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lexiseg.data.sample import Split
from lexiseg.errors import RunError
from lexiseg.evaluation.tables import read_cases
from lexiseg.runs.manifest import FinishedTraining
from lexiseg.runs.run import Run
from lexiseg.studies.arms import Arm


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What an arm came to.

    Attributes:
        arm: The arm.
        cases: Its evaluated cases, indexed by id.
        metrics: Its `metrics.json`.
        training: How it was trained, from its manifest.
    """

    arm: Arm
    cases: pd.DataFrame
    metrics: dict[str, Any]
    training: FinishedTraining


def read_result(arm: Arm, folder: Path, split: Split) -> ArmResult:
    """Read what an arm came to.

    Raises:
        RunError: A file of it is damaged.
        DataError: Its table of cases is.
    """
    file = folder / split / "metrics.json"
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read ({error}). Remove it to evaluate the arm again.", code="LEX-RUN-017"
        ) from error
    return ArmResult(
        arm=arm,
        cases=read_cases(folder / split / "cases.csv"),
        metrics=metrics,
        training=Run.open(folder).finished_training,
    )


def same_cases(results: list[ArmResult]) -> None:
    """Refuse arms that were evaluated on different cases.

    Raises:
        RunError: Two arms were evaluated on different cases.
    """
    first = results[0]
    for result in results[1:]:
        if set(result.cases.index) != set(first.cases.index):
            raise RunError(
                f"{result.arm.name} was evaluated on {len(result.cases)} cases and {first.arm.name} on "
                f"{len(first.cases)}, not all the same. Remove their evaluations to make them again.",
                code="LEX-RUN-018",
            )


def dice_table(results: list[ArmResult], ids: pd.Index) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the Dice of the results, one row per result, one column per case `(results, cases)`."""
    return np.stack([result.cases.loc[ids, "dice"].to_numpy(dtype=np.float64) for result in results])


def all_cases(results: list[ArmResult]) -> str:
    """Return the cases of all arms as one CSV table."""
    tables = [
        result.cases.reset_index().assign(model=result.arm.model, arm=result.arm.text, seed=result.arm.seed)
        for result in results
    ]
    joined = pd.concat(tables, ignore_index=True)
    first = ["model", "arm", "seed"]
    ordered = joined[first + [name for name in joined.columns if name not in first]]
    return str(
        ordered.to_csv(index=False, float_format="%.6g", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    )
