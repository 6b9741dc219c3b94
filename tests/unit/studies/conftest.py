"""Results of an audit made up of numbers, without any training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lexiseg.runs.manifest import FinishedTraining, ValidationRecord
from lexiseg.studies.arms import Arm, plan_arms
from lexiseg.studies.content import Asked, audit_content
from lexiseg.studies.results import ArmResult

CASES = 90
VALIDATION = ValidationRecord(
    cases=1, dice=0.5, agreement=None, review_below=0.0, flagged=0.0, dice_flagged=None, dice_rest=0.5
)
GAINS = {"none": 0.0, "shuffled": -0.005, "reports": 0.03, "concepts": 0.01}


def trained(**facts: Any) -> FinishedTraining:
    """Return the record of a finished training."""
    return FinishedTraining(
        seed=0, selected_step=1, validation=VALIDATION, torch="2", command="lexiseg train", **facts
    )


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
    "title": "side", "accuracy": 0.8, "majority": 0.6, "n": 90, "phrases": ["left lung", "right lung"],
    "confusion": [[54, 0], [18, 18]],
}  # fmt: skip
UNSEEN = {
    "title": "texture",
    "accuracy": None,
    "majority": None,
    "n": 0,
    "phrases": ["a"],
    "confusion": [[0]],
}


def metrics_of(text: str) -> dict[str, Any]:
    return {
        "split": "test",
        "side": "image",
        "pooled_dice": 0.87,
        "retrieval": {} if text == "none" else {"side": FACTOR, "texture": UNSEEN},
        "calibration": {
            "ece": 0.25,
            "temperature": None,
            "pixels": 40,
            "bins": [
                {"range": [0.0, 0.5], "pixels": 40, "probability": 0.25, "lesion": 0.5},
                {"range": [0.5, 1.0], "pixels": 0, "probability": None, "lesion": None},
            ],
        },
        "failed": [{"id": "broken", "image": "x", "error": "broken.png cannot be read <at all>."}],
        "by_size": [
            {"tercile": "small", "share": [0.0, 0.05], "n": 30},
            {"tercile": "medium", "share": [0.05, 0.15], "n": 30},
            {"tercile": "large", "share": [0.15, 1.0], "n": 30},
        ],
        "run": {"manifest": {"lexiseg_version": "0.1.0"}},
    }


def make_results(
    *, models: tuple[str, ...] = ("stpnet", "cotexnet"), seeds: int = 3, noise: float = 0.05
) -> list[ArmResult]:
    """Return results of all arms; reports gain 0.03 with STPNet, nothing gains with CoTexNet."""
    rng = np.random.default_rng(0)
    case = rng.uniform(0.5, 0.85, CASES)
    results = []
    for arm in plan_arms(models, tuple(GAINS), seeds):
        gain = GAINS[arm.text] if arm.model == "stpnet" else 0.0
        dice = np.clip(case + gain + rng.normal(0, noise, CASES) + rng.normal(0, 0.002), 0, 1)
        training = trained(steps=715, minutes=12.5 + arm.seed, machine="x86_64, 2 of 2 cores")
        results.append(
            ArmResult(arm=arm, cases=cases_of(dice), metrics=metrics_of(arm.text), training=training)
        )
    return results


@pytest.fixture(scope="session")
def results() -> Callable[..., list[ArmResult]]:
    return make_results


@pytest.fixture(scope="session")
def asked() -> Callable[..., Asked]:
    def make(**changes: Any) -> Asked:
        given: dict[str, Any] = {
            "data": Path("data/chest"), "out": Path("audits/my chest"), "models": ("stpnet", "cotexnet"),
            "texts": tuple(GAINS), "seeds": 3, "epochs": 2, "steps": None, "max_minutes": None,
            "image_size": 160, "masks": None, "limit": 1500, "split": "test", "config_file": None,
        }  # fmt: skip
        return Asked(**{**given, **changes})

    return make


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    return {
        "format_version": 1,
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
    }  # fmt: skip


@pytest.fixture(scope="session")
def content(
    asked: Callable[..., Asked], results: Callable[..., list[ArmResult]], settings: dict[str, Any]
) -> dict[str, Any]:
    return audit_content(asked(), results(), settings, reports=True)


@pytest.fixture(scope="session")
def three_cases() -> list[ArmResult]:
    """Return results of STPNet, three arms and two seeds, on three cases; the second has no lesion."""
    dice = {
        ("none", 0): [0.5, 1.0, 0.5],
        ("shuffled", 0): [0.0, 0.0, 0.0],
        ("reports", 0): [0.75, 0.0, 0.5],
        ("none", 1): [0.5, 0.5, 0.5],
        ("shuffled", 1): [0.0, 0.0, 0.0],
        ("reports", 1): [1.0, 0.5, 0.5],
    }
    facts = {
        "patient": [None] * 3, "truth_share": [0.25, 0.0, 0.5], "lesions": [1, 0, 1],
        "tercile": ["small", "no lesion", "large"],
    }  # fmt: skip
    return [
        ArmResult(
            arm=Arm(model="stpnet", text=text, seed=seed),
            cases=pd.DataFrame({**facts, "dice": values}, index=pd.Index(["a", "b", "c"], name="id")),
            metrics=metrics_of(text),
            training=trained(steps=1, minutes=1.0, machine="x"),
        )
        for (text, seed), values in dice.items()
    ]
