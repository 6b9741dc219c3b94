from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lexiseg.models.learning_rates import warm_restarts
from lexiseg.systems.registry import system_of, systems
from lexiseg.training.config import make_config


def optimizer(options: dict[str, Any], net: nn.Module) -> torch.optim.Optimizer:
    config = make_config(options)
    return system_of(config).builders.optimizer(config, net)


def rate(options: dict[str, Any], step: int, share: float, steps_per_epoch: int) -> float:
    config = make_config(options)
    return system_of(config).builders.learning_rate(config, step, share, steps_per_epoch)


@pytest.mark.parametrize("system", systems(), ids=lambda system: f"{system.name}-{system.preset}")
def test_frozen_parameters_are_left_out(system: Any) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    built = optimizer({"model": system.name, "preset": system.preset}, net)
    found = [p for group in built.param_groups for p in group["params"]]
    assert {id(p) for p in found} == {id(p) for p in net[1].parameters()}


def test_published_cotexnet_falls_by_half_a_cosine_over_the_steps() -> None:
    options = {"model": "cotexnet", "preset": "paper"}
    rates = [rate(options, step, step / 4, 2) for step in range(5)]
    assert rates == pytest.approx([3e-4, 3e-4 * (1 + 0.5**0.5) / 2, 1.5e-4, 3e-4 * (1 - 0.5**0.5) / 2, 0])


def test_other_rates() -> None:
    assert rate({}, 500, 0.5, 10) == pytest.approx(1e-3 * (0.01 + 0.99 * 0.5))
    assert rate({"preset": "paper"}, 500, 0.5, 70) == warm_restarts(500, 70, peak=3e-4)


def test_a_given_decay_wins() -> None:
    built = optimizer({"model": "cotexnet", "preset": "paper", "weight_decay": 0.3}, nn.Linear(1, 1))
    assert built.param_groups[0]["weight_decay"] == 0.3
    assert isinstance(built, torch.optim.AdamW)
