"""The scores of each arm before any comparison: over its seeds, with retrieval and training."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lexiseg.evaluation.scores.metrics_file import ConfusionMatrix
from lexiseg.evaluation.scores.statistics import mean_ci
from lexiseg.studies.arms import AuditArm
from lexiseg.studies.audit_file import (
    ArmSummary,
    FactorAccuracy,
    PooledScore,
    SeededScore,
    TrainingEvidence,
)
from lexiseg.studies.results import TrialResult, dice_table
from lexiseg.studies.undertraining import undertrained

#: Folder of the run folders, in an audit's folder.
ARMS_FOLDER = "arms"


@dataclass(frozen=True, kw_only=True)
class ArmResults:
    """The results of one arm.

    Attributes:
        arm: The arm.
        trials: The result of each of its trainings, by seed.
    """

    arm: AuditArm
    trials: tuple[TrialResult, ...]


def summarise_arm(
    results: ArmResults, ids: pd.Index, clusters: Sequence[Hashable | None], constant_dice: float
) -> ArmSummary:
    """Return the scores of an arm over all cases and seeds.

    Args:
        results: Its results.
        ids: The cases.
        clusters: Patient per case; cases with None stand alone.
        constant_dice: Mean Dice of the best constant mask, 0..1.
    """
    trials = results.trials
    dice = dice_table(trials, ids)
    pooled = tuple(trial.metrics.pooled_dice for trial in trials)
    return ArmSummary(
        model=results.arm.model,
        arm=results.arm.spec.name,
        title=results.arm.spec.shown,
        changes=results.arm.spec.changes,
        dice=SeededScore(
            **dict(mean_ci(dice.mean(axis=0), clusters)), by_seed=tuple(dice.mean(axis=1).tolist())
        ),
        pooled_dice=PooledScore(mean=float(np.mean(pooled)), by_seed=pooled),
        retrieval=_retrieval(trials),
        undertrained=undertrained(float(dice.mean()), constant_dice, [trial.last_rise for trial in trials]),
        steps=tuple(trial.training.steps for trial in trials),
        minutes=tuple(trial.training.all_minutes for trial in trials),
        report_files=tuple(
            f"{ARMS_FOLDER}/{trial.name}/{trial.metrics.split}/report.html" for trial in trials
        ),
        first_seed=_evidence(trials[0]),
    )


def _retrieval(trials: Sequence[TrialResult]) -> dict[str, FactorAccuracy]:
    """Return accuracy and majority rate of the factors whose reference is known."""
    found = {}
    for name, scores in trials[0].metrics.retrieval.items():
        factors = [trial.metrics.retrieval.get(name) for trial in trials]
        known = [f.accuracy for f in factors if f is not None and f.accuracy is not None]
        if known:
            found[name] = FactorAccuracy(
                title=scores.title, accuracy=float(np.mean(known)), majority=scores.majority
            )
    return found


def _evidence(trial: TrialResult) -> TrainingEvidence:
    """Return the calibration of a training, and what it retrieved for each reference phrase."""
    return TrainingEvidence(
        seed=trial.seed,
        side=trial.metrics.side,
        calibration=trial.metrics.calibration,
        confusions={
            name: ConfusionMatrix(
                title=scores.title, phrases=scores.phrases, n=scores.n, confusion=scores.confusion
            )
            for name, scores in trial.metrics.retrieval.items()
            if scores.n
        },
    )
