"""The optimiser and learning rate of each model and preset."""

from __future__ import annotations

import torch
from torch import nn

from lexiseg.training.config import TrainConfig
from lexiseg.training.schedule import Progress, cosine, half_cosine, warm_restarts


def make_optimizer(config: TrainConfig, modules: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of all that learns.

    Args:
        config: Model, preset, learning rate, weight decay.
        modules: What is trained; frozen parameters are left out.

    Returns:
        Adam without decay for STPNet as published, AdamW with decay on everything for CoTexNet as published,
        and AdamW with decay on all but norms and biases for the compact networks.
    """
    rate = config.peak_learning_rate
    learning = [p for p in modules.parameters() if p.requires_grad]
    if config.paper and config.model == "stpnet":
        return torch.optim.Adam(learning, lr=rate)
    if config.paper:
        return torch.optim.AdamW(learning, lr=rate, weight_decay=config.decay)
    return torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.decay},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=rate,
        fused=True,
    )


def learning_rate(config: TrainConfig, progress: Progress, steps_per_epoch: int) -> float:
    """Return the learning rate of the coming step.

    Args:
        config: Model, preset and peak.
        progress: How far the training is.
        steps_per_epoch: Steps per pass over the data.
    """
    peak = config.peak_learning_rate
    if not config.paper:
        return peak * cosine(progress)
    if config.model == "cotexnet":
        return peak * half_cosine(progress.share)
    return warm_restarts(progress.step, steps_per_epoch, peak=peak)
