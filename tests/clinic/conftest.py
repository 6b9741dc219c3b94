"""Tests with real archives: the shipped model is loaded once, and what was skipped is counted at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

import lexiseg
from lexiseg.inference.predictor import Predictor

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report for report in terminalreporter.stats.get("skipped", []) if "tests/clinic" in report.nodeid
    ]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests with real archives were skipped; see the reasons above"
        )


@pytest.fixture(scope="session")
def shipped() -> Predictor:
    return lexiseg.load("covid-xray")


@pytest.fixture(autouse=True)
def _load_once(shipped: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lexiseg.gateway.service.load_predictors",
        lambda configuration: {rule.run: shipped for rule in configuration.rules},
    )
