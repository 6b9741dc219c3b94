"""What `audit.json` says: verdicts, comparisons, arms, and how all of it was made."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from lexiseg.data.sample import Split
from lexiseg.evaluation.statistics import RESAMPLES
from lexiseg.evaluation.tables import case_groups, patients_of
from lexiseg.studies.analysis import Comparison, FloatArray, adjusted, compare_arms
from lexiseg.studies.arms import ARMS, contrasts, shuffled_source
from lexiseg.studies.evidence import case_differences, failures
from lexiseg.studies.results import ArmResult, dice_table, same_cases
from lexiseg.studies.summary import summarise_arms
from lexiseg.studies.verdict import RULE, decide, sentence, verdicts
from lexiseg.systems.registry import names

FORMAT_VERSION = 1

_PACKAGES = ("lexiseg", "torch", "timm", "numpy", "scipy")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller asked for; its command is how to repeat it."""

    data: Path
    out: Path
    models: tuple[str, ...]
    texts: tuple[str, ...]
    seeds: int
    epochs: int | None
    steps: int | None
    max_minutes: float | None
    image_size: int | None
    masks: float | None
    limit: int | None
    split: Split
    config_file: Path | None

    @property
    def command(self) -> str:
        """The command line that does the same."""
        words = ["lexiseg", "audit", str(self.data), "--models", ",".join(self.models)]
        words += ["--arms", ",".join(self.texts), "--seeds", str(self.seeds)]
        options = {
            "--epochs": self.epochs,
            "--steps": self.steps,
            "--max-minutes": self.max_minutes,
            "--image-size": self.image_size,
            "--masks": self.masks,
            "--limit": self.limit,
            "--config": self.config_file,
        }
        for option, value in options.items():
            if value is not None:
                words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        if self.split != "test":
            words += ["--split", self.split]
        return shlex.join([*words, "--out", str(self.out)])


def audit_content(
    asked: Asked, results: list[ArmResult], settings: dict[str, Any], *, reports: bool
) -> dict[str, Any]:
    """Compare the arms and return the content of `audit.json`.

    Args:
        asked: What was asked for.
        results: Every arm's result.
        settings: What the arms share, as `shared_settings` returns it.
        reports: Whether the data set has a report for every image.
    """
    same_cases(results)
    cases = results[0].cases
    patients = patients_of(cases)
    dice = _dice(asked, results)
    comparisons = _comparisons(dice, cases, reports=reports)
    metrics = results[0].metrics
    return {
        "format_version": FORMAT_VERSION,
        "verdicts": verdicts(comparisons, true=shuffled_source(reports=reports)),
        "rule": RULE,
        "arms": summarise_arms(results, cases.index, patients),
        "comparisons": [{**asdict(c), "verdict": decide(c), "words": sentence(c)} for c in comparisons],
        "differences": case_differences(dice, cases),
        "cases": {
            "split": asked.split,
            "n": len(cases),
            "patients": len(set(patients) - {None}) or None,
            "failed": failures(results),
            "terciles": [
                {"name": size["tercile"], "share": size["share"], "n": size["n"]}
                for size in metrics["by_size"]
            ],
        },
        "seeds": asked.seeds,
        "shuffled_words_of": shuffled_source(reports=reports) if "shuffled" in asked.texts else None,
        "settings": settings,
        "execution": _execution(asked, results),
    }


def _dice(asked: Asked, results: Sequence[ArmResult]) -> dict[str, dict[str, FloatArray]]:
    """Return the Dice per model and arm, `(seeds, cases)`, in the order of the registry and of `ARMS`."""
    ids = results[0].cases.index
    return {
        model: {
            text: dice_table([r for r in results if (r.arm.model, r.arm.text) == (model, text)], ids)
            for text in ARMS
            if text in asked.texts
        }
        for model in names()
        if model in asked.models
    }


def _comparisons(
    dice: dict[str, dict[str, FloatArray]], cases: pd.DataFrame, *, reports: bool
) -> list[Comparison]:
    groups, patients = case_groups(cases), patients_of(cases)
    found: list[Comparison] = []
    for model, of_model in dice.items():
        pairs = contrasts([text for text in ARMS if text in of_model], reports=reports)
        found += compare_arms(of_model, pairs, groups, patients, model=model)
    return adjusted(found)


def _execution(asked: Asked, results: Sequence[ArmResult]) -> dict[str, Any]:
    """Return how to do it again, when and where it was done, and by which versions."""
    return {
        "command": asked.command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "resamples": RESAMPLES,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs",
        "trained_on": sorted({result.training.machine for result in results}),
        "trained_by": sorted({str(r.metrics["run"]["manifest"]["lexiseg_version"]) for r in results}),
        "training_minutes": round(sum(result.training.minutes for result in results), 1),
    }
