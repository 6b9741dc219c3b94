from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from cotexnet_nets import Lesson, build

from lexiseg.systems.cotexnet.paper_network import CoTexNet
from tiny_clipseg import CONFIG

_TEXT = {**CONFIG["text_config"], "vocab_size": 50, "max_position_embeddings": 12}
_TEXT |= {"bos_token_id": 48, "eos_token_id": 49, "pad_token_id": 49}
_CONFIG: dict[str, Any] = {**CONFIG, "text_config": _TEXT}


@pytest.fixture
def config() -> dict[str, Any]:
    return copy.deepcopy(_CONFIG)


@pytest.fixture
def net(config: dict[str, Any]) -> CoTexNet:
    return build(config)


@pytest.fixture
def lesson() -> Lesson:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(3, 3, 32, 32, generator=generator)
    mask = torch.randn(3, 1, 32, 32, generator=generator) > 0
    ids = torch.randint(0, 48, (3, 12), generator=generator)
    ids[:, 0] = 48
    attention = torch.ones_like(ids)
    for row, end in enumerate((7, 9, 11)):
        ids[row, end:] = 49
        attention[row, end + 1 :] = 0
    return Lesson(image, image * mask, ids, attention)
