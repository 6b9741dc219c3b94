"""A small published CoTexNet, and what it is taught with."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import CLIPSegConfig

from lexiseg.systems.cotexnet.paper_network import CoTexNet


class Lesson(NamedTuple):
    image: Tensor
    roi: Tensor
    input_ids: Tensor
    attention_mask: Tensor


def build(config: dict[str, Any], num_classes: int = 2) -> CoTexNet:
    torch.manual_seed(0)
    net = CoTexNet(CLIPSegConfig.from_dict(config), num_classes)
    # Parameters as large as in use: fresh towers are so weak that differences would vanish.
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return net.eval()
