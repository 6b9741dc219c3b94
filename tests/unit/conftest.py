from __future__ import annotations

import pytest

from fake_bank import fake_bank
from lexiseg.models.text_bank import TextBank


@pytest.fixture(scope="session")
def bank() -> TextBank:
    return fake_bank()
