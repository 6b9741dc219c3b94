"""One arm of an audit: trained, resumed where it was broken off, and evaluated."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from lexiseg.auditing.arms import Arm
from lexiseg.auditing.settings import check_arm
from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import RunError
from lexiseg.evaluation.evaluate import evaluate_predictor
from lexiseg.evaluation.tables import read_cases
from lexiseg.inference.predictor import Predictor
from lexiseg.run import Run
from lexiseg.training.checks import check_splits
from lexiseg.training.config import CONFIG_FILE, TrainConfig, make_config
from lexiseg.training.plan import continue_run, plan_run
from lexiseg.training.train import Training, train


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
    training: dict[str, Any]


def is_done(folder: Path, split: Split) -> bool:
    """Say whether an arm is trained and evaluated; `metrics.json` is written last."""
    return (folder / split / "metrics.json").is_file()


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What an audit's arms are trained and evaluated on.

    Attributes:
        data: The data set's folder.
        index: The data set, limited.
        limit: Whether it was.
        split: The split the arms are evaluated on.
    """

    data: Path
    index: DatasetIndex
    limit: bool
    split: Split


def train_and_evaluate(lesson: Lesson, config: TrainConfig, folder: Path, *, console: Console) -> None:
    """Train an arm, or go on where it was broken off, and evaluate it.

    Args:
        lesson: What it is trained and evaluated on.
        config: The arm's configuration.
        folder: The arm's run folder.
        console: Where progress is shown.

    Raises:
        RunError: The folder holds a training with other settings.
        DataError: The data set does not fit the arm, such as one without reports.
    """
    resume = (folder / "run.json").is_file()
    if resume:
        check_arm(folder, config)
    if lesson.limit:
        run = _train_limited(lesson.index, config, folder, resume=resume, console=console)
    else:
        options = {} if resume else config.model_dump()
        run = train(lesson.data, folder, resume=resume, console=console, **options)
    evaluation = evaluate_predictor(
        Predictor(run), lesson.index, split=lesson.split, out=folder / lesson.split
    )
    console.print(
        f"{folder.name}: {lesson.split} Dice {evaluation.metrics['dice']['mean']:.4f} over "
        f"{len(evaluation.cases)} cases.",
        highlight=False,
    )


def _train_limited(
    index: DatasetIndex, config: TrainConfig, folder: Path, *, resume: bool, console: Console
) -> Run:
    """Do what `train` does, on a part of a data set that no folder holds."""
    if resume and Run.open(folder).manifest.training.get("finished"):
        return Run.open(folder)
    if resume:
        config = make_config({}, folder / CONFIG_FILE)
        plan = continue_run(index, Run.open(folder), config)
    else:
        Run.refuse_existing(folder)
        check_splits(index)
        plan = plan_run(index, config, console)
    return Training(index, plan, config, out=folder, resume=resume, console=console).run()


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
        raise RunError(f"{file} cannot be read ({error}). Remove it to evaluate the arm again.") from error
    return ArmResult(
        arm=arm,
        cases=read_cases(folder / split / "cases.csv"),
        metrics=metrics,
        training=Run.open(folder).manifest.training,
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
                f"{len(first.cases)}, not all the same. Remove their evaluations to make them again."
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
