"""Batch norms that processes share: not in prediction, and only those whose sums are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn

from lexiseg.training.distributed.global_batch import check_batch_norms, gather_output, share_batch_norms
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


@pytest.mark.parametrize("refusing", [check_batch_norms, share_batch_norms])
def test_other_batch_norms_are_refused(refusing: Callable[[nn.Module], None]) -> None:
    with refuses("LEX-USE-1290", "BatchNorm1d"):
        refusing(nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(3)))
    check_batch_norms(network())


@pytest.fixture
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_gradients_have_the_sums_of_the_formula(dtype: torch.dtype) -> None:
    """What leaves the mean of a channel unchanged has no gradient: the gradients of a channel sum to 0."""
    generator = torch.Generator().manual_seed(2)
    pixels = (30 + torch.randn(4, 8, 32, 32, generator=generator)).to(dtype)
    towards = torch.randn(4, 8, 32, 32, generator=generator).to(dtype)
    gradients = []
    for shared in (True, False):
        net = nn.Sequential(nn.BatchNorm2d(8))
        if shared:
            share_batch_norms(net)
        seen = pixels.clone().requires_grad_()
        net(seen).backward(towards)
        assert seen.grad is not None
        assert seen.grad.dtype == dtype
        gradients.append(seen.grad.double())
    found, expected = gradients
    bias = found.sum(dim=(0, 2, 3)).abs() / found.abs().sum(dim=(0, 2, 3))
    assert float(bias.max()) < 3e-4
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=2**-7 if dtype == torch.bfloat16 else 1e-4)


@dataclass(frozen=True, kw_only=True)
class Output:
    logits: torch.Tensor
    extra: Any = None


@pytest.mark.usefixtures("one_process")
def test_outputs_that_processes_put_together() -> None:
    logits, mean = torch.ones(2, 1, 4, 4), torch.tensor(3.0, requires_grad=True)
    found = gather_output(Output(logits=logits, extra={"words": logits, "mean": mean}))
    assert found.logits.shape == found.extra["words"].shape == logits.shape
    # A number is a mean over the batch.
    assert found.extra["mean"].shape == ()
    (5 * found.extra["mean"]).backward()
    assert (found.extra["mean"].item(), mean.grad) == (3.0, 5.0)
    with refuses("LEX-USE-1821", "'extra.scores'", "tuple", "--devices 1"):
        gather_output(Output(logits=logits, extra={"scores": (logits, logits)}))
