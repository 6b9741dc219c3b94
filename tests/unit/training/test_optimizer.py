from __future__ import annotations

import pytest
import torch
from torch import nn

from lexiseg.training.config import make_config
from lexiseg.training.optimizer import learning_rate, make_optimizer
from lexiseg.training.schedule import Progress, warm_restarts


def test_frozen_parameters_are_left_out() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    for options in ({}, {"preset": "paper"}, {"preset": "paper", "model": "cotexnet"}):
        optimiser = make_optimizer(make_config(options), net)
        found = [p for group in optimiser.param_groups for p in group["params"]]
        assert {id(p) for p in found} == {id(p) for p in net[1].parameters()}


def test_published_cotexnet_falls_by_half_a_cosine_over_the_steps() -> None:
    config = make_config({"model": "cotexnet", "preset": "paper"})
    rates = [learning_rate(config, Progress(total_steps=4, max_minutes=None, step=s), 2) for s in range(5)]
    assert rates == pytest.approx([3e-4, 3e-4 * (1 + 0.5**0.5) / 2, 1.5e-4, 3e-4 * (1 - 0.5**0.5) / 2, 0])


def test_other_rates() -> None:
    progress = Progress(total_steps=1000, max_minutes=None, step=500)
    assert learning_rate(make_config({}), progress, 10) == pytest.approx(1e-3 * (0.01 + 0.99 * 0.5))
    published = learning_rate(make_config({"preset": "paper"}), progress, 70)
    assert published == warm_restarts(500, 70, peak=3e-4)


def test_a_given_decay_wins() -> None:
    given = make_config({"model": "cotexnet", "preset": "paper", "weight_decay": 0.3})
    optimiser = make_optimizer(given, nn.Linear(1, 1))
    assert optimiser.param_groups[0]["weight_decay"] == 0.3
    assert isinstance(optimiser, torch.optim.AdamW)
