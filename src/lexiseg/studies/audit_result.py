"""From the results of all arms to the content of `audit.json`: comparisons, verdicts, provenance."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import pandas as pd

from lexiseg.data.sample import Split
from lexiseg.evaluation.scores.case_table import case_groups, patients_of
from lexiseg.evaluation.scores.statistics import RESAMPLES, few_cases
from lexiseg.studies.analysis import FloatArray, adjusted, compare_arms, unit_of
from lexiseg.studies.arm_summary import ArmResults, summarise_arm
from lexiseg.studies.arms import SHUFFLED, Arms, contrasts, shuffled_source
from lexiseg.studies.audit_file import (
    ArmComparison,
    AuditCases,
    AuditExecution,
    AuditResult,
    SharedSettings,
    Tercile,
)
from lexiseg.studies.case_differences import case_differences, case_errors
from lexiseg.studies.results import TrialResult, dice_table
from lexiseg.studies.verdict import Undertrained, judge, rule, verdicts

_PACKAGES = ("lexiseg", "torch", "timm", "numpy", "scipy")


def audit_result(
    results: Sequence[ArmResults],
    settings: SharedSettings,
    arms: Arms,
    *,
    command: str,
    reports: bool,
    constant_dice: float,
) -> AuditResult:
    """Compare the arms and return the content of `audit.json`.

    Args:
        results: Every arm's results, on the same cases.
        settings: What the trainings share.
        arms: All known arms by name.
        command: The command line that does the same.
        reports: Whether the data set has a report for every image.
        constant_dice: Mean Dice of the best mask that is the same for all images, 0..1.
    """
    first = results[0].trials[0]
    cases, split = first.cases, first.metrics.split
    patients = patients_of(cases)
    dice = _dice(results)
    comparisons = _comparisons(results, dice, cases)
    names = {result.arm.spec.name for result in results}
    trials = [trial for result in results for trial in result.trials]
    summaries = tuple(summarise_arm(result, cases.index, patients, constant_dice) for result in results)
    weak: Undertrained = {(arm.model, arm.arm): arm.undertrained for arm in summaries if arm.undertrained}
    return AuditResult(
        verdicts=verdicts(comparisons, arms, weak),
        rule=rule(unit_of(patients)),
        arms=summaries,
        comparisons=tuple(judge(comparison, arms, weak) for comparison in comparisons),
        differences=case_differences(dice, cases, arms),
        cases=_cases(first, split, trials, constant_dice),
        seeds=len(results[0].trials),
        shuffled_words_of=shuffled_source(reports=reports) if SHUFFLED in names else None,
        settings=settings,
        execution=_execution(trials, command),
    )


def _dice(results: Sequence[ArmResults]) -> dict[str, dict[str, FloatArray]]:
    """Return the Dice per model and arm, `(seeds, cases)`, in the order of the results."""
    ids = results[0].trials[0].cases.index
    dice: dict[str, dict[str, FloatArray]] = {}
    for result in results:
        dice.setdefault(result.arm.model, {})[result.arm.spec.name] = dice_table(result.trials, ids)
    return dice


def _comparisons(
    results: Sequence[ArmResults], dice: dict[str, dict[str, FloatArray]], cases: pd.DataFrame
) -> list[ArmComparison]:
    groups, patients = case_groups(cases), patients_of(cases)
    found: list[ArmComparison] = []
    for model, of_model in dice.items():
        pairs = contrasts([result.arm.spec for result in results if result.arm.model == model])
        found += compare_arms(of_model, pairs, groups, patients, model=model)
    return adjusted(found)


def _cases(
    first: TrialResult, split: Split, trials: Sequence[TrialResult], constant_dice: float
) -> AuditCases:
    clusters = patients_of(first.cases)
    patients = set(clusters) - {None}
    return AuditCases(
        split=split,
        n=len(first.cases),
        patients=len(patients) or None,
        few_cases=few_cases(clusters),
        constant_dice=constant_dice,
        failed=case_errors(trials),
        terciles=tuple(
            Tercile(name=size.tercile, share=size.share, n=size.n) for size in first.metrics.by_size
        ),
    )


def _execution(trials: Sequence[TrialResult], command: str) -> AuditExecution:
    """Return how to repeat the audit, when and where it was done, and by which versions."""
    return AuditExecution(
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        resamples=RESAMPLES,
        versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        machine=f"{platform.platform()}, {os.cpu_count()} CPUs",
        trained_on=tuple(sorted({trial.training.machine for trial in trials})),
        trained_by=tuple(sorted({trial.metrics.run.manifest.lexiseg_version for trial in trials})),
        training_minutes=round(sum(trial.training.all_minutes for trial in trials), 1),
    )
