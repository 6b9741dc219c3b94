"""What each arm came to, before any comparison: scores over its seeds, retrieval, and its training."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lexiseg.evaluation.statistics import mean_ci
from lexiseg.studies.arms import Arm
from lexiseg.studies.evidence import of_training, report_file
from lexiseg.studies.results import ArmResult, dice_table
from lexiseg.studies.verdict import title


def summarise_arms(
    results: Sequence[ArmResult], ids: pd.Index, clusters: Sequence[Hashable | None]
) -> list[dict[str, Any]]:
    """Return one entry per model and arm.

    Args:
        results: All results; the same seeds for every arm.
        ids: The cases.
        clusters: Patient per case.

    Returns:
        Per model and arm: `dice` (mean over cases and seeds, its interval over patients, mean per seed),
        `pooled_dice` (mean over the seeds, and per seed), `retrieval` per factor (accuracy, mean over the
        seeds, beside the majority rate), `steps`, `minutes` and `report_files` per seed, and what its first
        training shows (`first_seed`, see `of_training`).
    """
    groups: dict[tuple[str, str], list[ArmResult]] = {}
    for result in results:
        groups.setdefault((result.arm.model, result.arm.text), []).append(result)
    return [_summary(group, ids, clusters) for group in groups.values()]


def _summary(results: list[ArmResult], ids: pd.Index, clusters: Sequence[Hashable | None]) -> dict[str, Any]:
    dice = dice_table(results, ids)
    pooled = [float(result.metrics["pooled_dice"]) for result in results]
    arm: Arm = results[0].arm
    return {
        "model": arm.model,
        "arm": arm.text,
        "title": title(arm.text),
        "dice": {**mean_ci(dice.mean(axis=0), clusters), "by_seed": dice.mean(axis=1).tolist()},
        "pooled_dice": {"mean": float(np.mean(pooled)), "by_seed": pooled},
        "retrieval": _retrieval(results),
        "steps": [result.training.steps for result in results],
        "minutes": [result.training.minutes for result in results],
        "report_files": [report_file(result) for result in results],
        "first_seed": of_training(results[0]),
    }


def _retrieval(results: list[ArmResult]) -> dict[str, dict[str, Any]]:
    """Return accuracy and majority rate per factor, of the factors whose reference is known."""
    found = {}
    for name, scores in results[0].metrics["retrieval"].items():
        of_seeds = [result.metrics["retrieval"].get(name, {}).get("accuracy") for result in results]
        known = [accuracy for accuracy in of_seeds if accuracy is not None]
        if known:
            found[name] = {
                "title": scores["title"],
                "accuracy": float(np.mean(known)),
                "majority": scores["majority"],
            }
    return found
