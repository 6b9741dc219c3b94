"""Results of an audit made up of numbers, without any training; and a small data set."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from audit_results import compared_results, make_results, make_settings, metrics_of, trained
from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.studies import settled_trials
from lexiseg.studies.arm_summary import ArmResults
from lexiseg.studies.arms import known_arms, plan_arms
from lexiseg.studies.audit_file import AuditResult, SharedSettings
from lexiseg.studies.results import TrialResult


@pytest.fixture(scope="session")
def results() -> Callable[..., list[ArmResults]]:
    return make_results


@pytest.fixture(scope="session")
def settings() -> SharedSettings:
    return make_settings()


@pytest.fixture(scope="session")
def compared(settings: SharedSettings) -> Callable[[list[ArmResults]], AuditResult]:
    """Compare results, on a data set with reports."""
    return lambda results: compared_results(results, settings)


@pytest.fixture(scope="session")
def content(
    compared: Callable[[list[ArmResults]], AuditResult], results: Callable[..., list[ArmResults]]
) -> AuditResult:
    return compared(results())


@pytest.fixture(scope="session")
def three_cases() -> list[ArmResults]:
    """Return results of STPNet, three arms and two seeds, on three cases; the second has no lesion."""
    dice = {
        "none": [[0.5, 1.0, 0.5], [0.5, 0.5, 0.5]],
        "shuffled": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "reports": [[0.75, 0.0, 0.5], [1.0, 0.5, 0.5]],
    }
    facts = {
        "patient": [None] * 3, "truth_share": [0.25, 0.0, 0.5], "lesions": [1, 0, 1],
        "tercile": ["small", "no lesion", "large"],
    }  # fmt: skip
    return [
        ArmResults(
            arm=arm,
            trials=tuple(
                TrialResult(
                    arm=arm.name,
                    seed=seed,
                    cases=pd.DataFrame({**facts, "dice": values}, index=pd.Index(["a", "b", "c"], name="id")),
                    metrics=metrics_of(arm.spec.name),
                    training=trained(steps=1, minutes=1.0, machine="x"),
                    last_rise=0.0,
                )
                for seed, values in enumerate(dice[arm.spec.name])
            ),
        )
        for arm in plan_arms(("stpnet",), tuple(dice), 2, known_arms(reports=True))
    ]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    folder = tmp_path_factory.mktemp("audit") / "data"
    write_phantom(folder, num_train=8, num_val=3, num_test=3, size=64, seed=3)
    return open_dataset(folder)


@pytest.fixture
def no_text_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled_trials, "load_text_encoder", lambda name: None)
