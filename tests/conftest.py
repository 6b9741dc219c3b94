"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no bug.
hypothesis.settings.register_profile("lexiseg", deadline=None)
hypothesis.settings.load_profile("lexiseg")

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with parity fixtures and real data, which users do not have; without it, tests skip."""
    folder = Path(os.environ.get("LEXISEG_SHARED", _REPOSITORY.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"needs the developers' shared folder, not found at {folder} (set LEXISEG_SHARED)")
    return folder
