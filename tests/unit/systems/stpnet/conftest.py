from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fake_bank import SIZES
from lexiseg.systems.stpnet.paper_network import StpNet


@pytest.fixture(scope="session")
def meta_net() -> StpNet:
    """The published network without memory for its 80 million parameters: shapes and names only."""
    with torch.device("meta"):
        return StpNet({name: torch.zeros(size, 1, 30, 768) for name, size in SIZES.items()}).eval()


@pytest.fixture
def published_banks() -> dict[str, Tensor]:
    names = ("Unilateral_emb", "num_emb", "left_loc_emb", "right_loc_emb")
    return {
        name: torch.zeros(size, 1, 30, 768, device="meta")
        for name, size in zip(names, SIZES.values(), strict=True)
    }
