"""A tiny data set on disk, and a predictor whose answers are written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import known_answers
from lexiseg.runs.run import Run


@pytest.fixture(scope="session")
def disc() -> Callable[..., np.ndarray]:
    """Make a mask with one disc: `disc(size, row, column, radius)`."""
    return known_answers.disc


@pytest.fixture(scope="session")
def fake_run() -> Callable[..., Run]:
    """Make a run of given `text_source`, `side` and `class_names`."""
    return known_answers.make_run


@pytest.fixture(scope="session")
def fake_predictor() -> type[known_answers.FakePredictor]:
    """Make a predictor from a run and its answers by image name: mask and retrieved indices."""
    return known_answers.FakePredictor


@pytest.fixture(scope="session")
def write_case() -> Callable[..., Path]:
    """Write an image with its mask and return its path: `write_case(folder, name, mask, split="test")`."""
    return known_answers.write_case
