"""Batch norms that processes share: not in prediction, and only those whose sums are known."""

from __future__ import annotations

import torch
from timm.layers import BatchNormAct2d
from torch import nn

from lexiseg.training.global_batch import share_batch_norms
from refusals import refuses


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), BatchNormAct2d(2)
    )


def images() -> torch.Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_in_prediction_nothing_is_shared() -> None:
    net, plain = network().eval(), network().eval()
    share_batch_norms(net)
    assert list(net.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(net(images()), plain(images()), rtol=0, atol=0)


def test_other_batch_norms_are_refused() -> None:
    with refuses("LEX-USE-1290", "BatchNorm1d"):
        share_batch_norms(nn.Sequential(nn.BatchNorm1d(3)))
