"""Results of an audit made up of numbers, without any training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lexiseg.auditing.arms import plan_arms
from lexiseg.auditing.content import Asked, audit_content
from lexiseg.auditing.results import ArmResult

CASES = 90
GAINS = {"none": 0.0, "shuffled": -0.005, "reports": 0.03, "concepts": 0.01}


def cases_of(dice: np.ndarray) -> pd.DataFrame:
    """Return a table as `read_cases` returns it: 90 cases, two per patient, the first 30 small."""
    return pd.DataFrame(
        {
            "image": [f"images/c{n}.png" for n in range(CASES)],
            "patient": pd.Series([f"p{n // 2}" for n in range(CASES)], dtype=object).to_list(),
            "dice": dice,
            "tercile": np.repeat(["small", "medium", "large"], CASES // 3),
            "lesions": np.arange(CASES) % 3 + 1,
        },
        index=pd.Index([f"c{n}" for n in range(CASES)], name="id"),
    )


def metrics_of(text: str) -> dict[str, Any]:
    factor = {"title": "side", "accuracy": 0.8, "majority": 0.6}
    return {
        "pooled_dice": 0.87,
        "retrieval": {} if text == "none" else {"side": factor},
        "failed": [{"id": "broken", "image": "x", "error": "unreadable"}],
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
        training = {"steps": 715, "minutes": 12.5 + arm.seed, "machine": "x86_64, 2 of 2 cores"}
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
