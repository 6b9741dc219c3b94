"""The shipped model, loaded once for all tests of gateways."""

from __future__ import annotations

import pytest

import lexiseg
from lexiseg.inference.predictor import Predictor


@pytest.fixture(scope="session")
def shipped() -> Predictor:
    return lexiseg.load("covid-xray")


@pytest.fixture(autouse=True)
def load_once(shipped: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lexiseg.gateway.service.load_predictors",
        lambda configuration: {rule.run: shipped for rule in configuration.rules},
    )
