"""Batch norms and losses of a batch that two processes share are those of the whole batch."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn

from lexiseg.training.distributed.global_batch import gather_output, share_batch_norms


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), BatchNormAct2d(2)
    )


def images() -> torch.Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Scores:
    """What a network returns that computes a mean over its images itself."""

    scores: torch.Tensor
    mean: torch.Tensor


def scores(output: torch.Tensor) -> Scores:
    return Scores(output, output.exp().mean())


def loss(output: torch.Tensor) -> torch.Tensor:
    """A loss that no mean of parts gives: it compares all images with each other."""
    flat = output.flatten(1)
    return (flat @ flat.T).square().mean() + output.max()


def _half(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    net = network()
    share_batch_norms(net)
    found = gather_output(scores(net(images()[rank * 3 : rank * 3 + 3])))
    total = loss(found.scores) + found.mean
    total.backward()
    for parameter in net.parameters():
        dist.all_reduce(parameter.grad)
        parameter.grad /= 2
    state = {"loss": total.detach(), **net.state_dict()}
    state |= {f"grad.{name}": parameter.grad for name, parameter in net.named_parameters()}
    torch.save(state, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_halves_are_the_whole(tmp_path: Path) -> None:
    net = network()
    found = scores(net(images()))
    total = loss(found.scores) + found.mean
    total.backward()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_half, args=(port, str(tmp_path)), nprocs=2)
    for rank in (0, 1):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(shared["loss"], total.detach())
        for name, value in net.state_dict().items():
            torch.testing.assert_close(shared[name], value, msg=name)
        gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
        # The gradient of a bias before a batch norm is a sum of large numbers that is 0.
        rounding = 1e-6 * max(float(gradient.abs().max()) for gradient in gradients.values())
        for name, gradient in gradients.items():
            torch.testing.assert_close(shared[f"grad.{name}"], gradient, atol=rounding, rtol=1e-4, msg=name)
