"""What the benchmarks that compare trainings share: their options, the study, and cells of their tables."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console

from lexiseg.evaluation.scores.case_table import patients_of
from lexiseg.evaluation.scores.statistics import paired_difference
from lexiseg.runs.run import Run
from lexiseg.studies.results import TrialResult, read_results
from lexiseg.studies.study_data import open_study_data
from lexiseg.studies.trials import CLAIMS_FOLDER, Study, StudyArm, plan_trials, run_study

Changes = Mapping[str, object]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all arms of a comparison share."""
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="YAML file with further fields of the configuration")


def run_arms(
    options: argparse.Namespace, arms: Mapping[str, Changes], shared: Changes
) -> dict[str, TrialResult]:
    """Train and evaluate one trial per arm, those that are not done in `options.out`.

    Args:
        options: The parsed options of `add_options`.
        arms: Fields of the configuration that make each arm what it is, by its name.
        shared: Fields that all arms share, besides image size and seed.

    Returns:
        The result of each arm, in the order of the arms.
    """
    share = shared.get("masks")
    study = Study(
        index=open_study_data(
            options.data, seeds=[options.seed], share=share if isinstance(share, float) else None
        ),
        trials=plan_trials(
            [StudyArm(name=name, changes=changes, seeds=(options.seed,)) for name, changes in arms.items()],
            {"image_size": options.image_size, **shared},
            options.config,
        ),
        folder=options.out,
        claims_folder=options.out / CLAIMS_FOLDER,
    )
    run_study(study, console=Console(width=140))
    return {result.arm: result for result in read_results(study)}


def run_of(options: argparse.Namespace, result: TrialResult) -> Run:
    """Return the run of an arm."""
    return Run.open(options.out / result.name)


def paired(cases: pd.DataFrame, baseline: pd.DataFrame, ids: pd.Index) -> str:
    """Return the paired difference in Dice, with its 95 % interval over patients where they are known."""
    clusters = patients_of(baseline.loc[ids])
    gain = paired_difference(dice(cases, ids), dice(baseline, ids), clusters=clusters, seed=0)
    low, high = gain.ci95
    return f"{gain.mean:+.4f} ({low:+.4f} to {high:+.4f})"


def dice(cases: pd.DataFrame, ids: pd.Index) -> npt.NDArray[np.float64]:
    """Return the Dice of some cases."""
    return cases.loc[ids, "dice"].to_numpy()
