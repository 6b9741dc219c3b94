"""Results of an audit made up of numbers, without any training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.manifest import FinishedTraining, ValidationRecord
from lexiseg.studies.arm_summary import ArmResults
from lexiseg.studies.arms import known_arms, plan_arms
from lexiseg.studies.audit_file import AuditResult, SharedSettings
from lexiseg.studies.audit_result import audit_result
from lexiseg.studies.results import TrialResult

CASES = 90
VALIDATION = ValidationRecord(
    cases=1, dice=0.5, agreement=None, review_below=0.0, flagged=0.0, dice_flagged=None, dice_rest=0.5
)
GAINS = {"none": 0.0, "shuffled": -0.005, "reports": 0.03, "concepts": 0.01}


def trained(*, steps: int, minutes: float, machine: str) -> FinishedTraining:
    return FinishedTraining(
        seed=0, selected_step=1, validation=VALIDATION, torch="2", command="lexiseg train", steps=steps,
        minutes=minutes, machine=machine,
    )  # fmt: skip


def cases_of(dice: np.ndarray) -> pd.DataFrame:
    """Return a table as `read_cases` returns it: 90 cases, two per patient, the first 30 small."""
    return pd.DataFrame(
        {
            "image": [f"images/c{n}.png" for n in range(CASES)],
            "patient": pd.Series([f"p{n // 2}" for n in range(CASES)], dtype=object).to_list(),
            "dice": dice,
            "truth_share": np.arange(1, CASES + 1) / 600,
            "tercile": np.repeat(["small", "medium", "large"], CASES // 3),
            "lesions": np.arange(CASES) % 3 + 1,
        },
        index=pd.Index([f"c{n}" for n in range(CASES)], name="id"),
    )


FACTOR = {
    "title": "side", "accuracy": 0.8, "ci95": [0.7, 0.9], "majority": 0.6, "majority_of_split": 0.6, "n": 90,
    "majority_phrase": "left lung", "phrases": ["left lung", "right lung"], "confusion": [[54, 0], [18, 18]],
}  # fmt: skip
UNSEEN = {
    "title": "texture", "accuracy": None, "ci95": None, "majority": None, "majority_of_split": None, "n": 0,
    "majority_phrase": None, "phrases": ["a"], "confusion": [[0]],
}  # fmt: skip
SCORE = {"mean": 0.8, "ci95": [0.7, 0.9]}
SCORES = dict.fromkeys(("dice", "iou", "hd95", "surface_dice"), SCORE)
MANIFEST = {
    "lexiseg_version": "0.1.0", "created": "2026-11-22T00:00:00+00:00", "network": NetworkSpec().model_dump(),
    "image_size": 160, "mean": [0.5] * 3, "std": [0.25] * 3, "class_names": ["background", "lesion"],
    "text": "reports", "side": "image",
}  # fmt: skip


def metrics_of(text: str) -> Metrics:
    return Metrics.model_validate(
        {
            **SCORES, "num_cases": 90, "num_patients": 45, "interval_over": "patients", "pooled_dice": 0.87,
            "pooled_dice_ci95": [0.8, 0.9], "pooled_iou": 0.8, "pooled_iou_ci95": [0.7, 0.9],
            "one_sided_empty": 0, "empty_predictions": 0, "by_count": {}, "agreement": None, "review": None,
            "split": "test", "units": "px", "tolerance": 2.0, "class_names": ["background", "lesion"],
            "side": "image", "reference_words": "reports", "in_sample": None,
            "retrieval": {} if text == "none" else {"side": FACTOR, "texture": UNSEEN},
            "calibration": {
                "ece": 0.25, "temperature": None, "signals": None, "pixels": 40,
                "bins": [
                    {"range": [0.0, 0.5], "pixels": 40, "probability": 0.25, "lesion": 0.5},
                    {"range": [0.5, 1.0], "pixels": 0, "probability": None, "lesion": None},
                ],
            },
            "failed": [{"id": "broken", "image": "x", "error": "broken.png cannot be read <at all>."}],
            "by_size": [
                {"tercile": "small", "share": [0.0, 0.05], "n": 30, **SCORES},
                {"tercile": "medium", "share": [0.05, 0.15], "n": 30, **SCORES},
                {"tercile": "large", "share": [0.15, 1.0], "n": 30, **SCORES},
            ],
            "run": {"folder": "run", "manifest": MANIFEST},
            "data": {
                "folder": "data", "name": "data", "layout": "folders", "split": "test", "samples": 91,
                "ids_sha256": "0", "assumptions": [],
            },
            "execution": {
                "command": "lexiseg evaluate", "flip_average": False, "average_with": [], "seed": 0,
                "resamples": 2000, "date": "2026-11-22T00:00:00+00:00", "seconds": 1.0, "versions": {},
                "machine": "x",
            },
        }
    )  # fmt: skip


def make_results(
    *, models: tuple[str, ...] = ("stpnet", "cotexnet"), seeds: int = 3, noise: float = 0.05
) -> list[ArmResults]:
    """Return results of all arms; reports gain 0.03 with STPNet, nothing gains with CoTexNet."""
    rng = np.random.default_rng(0)
    case = rng.uniform(0.5, 0.85, CASES)
    arms = plan_arms(models, tuple(GAINS), seeds, known_arms(reports=True))
    trials: dict[str, list[TrialResult]] = {arm.name: [] for arm in arms}
    for seed in range(seeds):
        for arm in arms:
            gain = GAINS[arm.spec.name] if arm.model == "stpnet" else 0.0
            dice = np.clip(case + gain + rng.normal(0, noise, CASES) + rng.normal(0, 0.002), 0, 1)
            trials[arm.name].append(
                TrialResult(
                    arm=arm.name,
                    seed=seed,
                    cases=cases_of(dice),
                    metrics=metrics_of(arm.spec.name),
                    training=trained(steps=715, minutes=12.5 + seed, machine="x86_64, 2 of 2 cores"),
                    last_rise=0.001,
                )
            )
    return [ArmResults(arm=arm, trials=tuple(trials[arm.name])) for arm in arms]


def make_settings() -> SharedSettings:
    """Return what the trainings of the audit share."""
    return SharedSettings.model_validate(
        {
            "data": {
                "name": "Chest <images>",
                "samples": {"train": 1500, "val": 300, "test": CASES},
                "ids_sha256": dict.fromkeys(("train", "val", "test"), "0123456789abcdef" * 4),
                "without_mask": 0,
            },
            "limit": 1500,
            "training": {
                "epochs": 2, "steps": None, "max_minutes": None, "image_size": 160,
                "encoder": "tf_efficientnet_lite0", "precision": "fp32", "masks": None,
            },
            "training_of_model": {},
        }
    )  # fmt: skip


def compared_results(results: list[ArmResults], settings: SharedSettings) -> AuditResult:
    """Compare results, on a data set with reports."""
    return audit_result(
        results,
        settings,
        known_arms(reports=True),
        command="lexiseg audit data/chest",
        reports=True,
        constant_dice=0.0,
    )
