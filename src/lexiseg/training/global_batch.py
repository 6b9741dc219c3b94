"""A batch that several processes share: losses and batch norms see all of its images.

With them, the steps are those of one process with the whole batch. The mean of the processes' own losses
would differ: a retrieval loss divides by the number of known words, and a distillation compares all images of
a batch.

Each process computes the same loss of all outputs. The gradient with respect to an output is added up over
the processes, and the mean over the processes (Lightning's strategy "ddp") is then the gradient of the loss.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lexiseg.errors import UsageError

Output = TypeVar("Output")


class _Gathered(torch.autograd.Function):
    """The tensors of all processes, one after the other along the first dimension."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(_size())]
        dist.all_gather(parts, part.contiguous())
        ctx.length = len(part)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.length
        return total[start : start + ctx.length]


class _Summed(torch.autograd.Function):
    """The sum of the tensors of all processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _size() -> int:
    return dist.get_world_size()


def gather(part: Tensor) -> Tensor:
    """Return a tensor of the whole batch, for that of the part of this process, with gradients."""
    if part.dtype == torch.bool:
        return gather(part.to(torch.uint8)).bool()
    if part.requires_grad:
        found: Tensor = _Gathered.apply(part)
        return found
    with torch.no_grad():
        found = _Gathered.apply(part)
    return found


def gather_output(output: Output) -> Output:
    """Return the output of a network for the whole batch.

    Args:
        output: A dataclass of tensors whose first dimension is the batch, dictionaries of them, and None.
    """
    assert dataclasses.is_dataclass(output)
    assert not isinstance(output, type)
    values = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return dataclasses.replace(output, **{name: _gather_value(value) for name, value in values.items()})


def _gather_value(value: Any) -> Any:
    if isinstance(value, Tensor):
        return gather(value)
    if isinstance(value, dict):
        return {name: _gather_value(item) for name, item in value.items()}
    return value


def _normalised(norm: _BatchNorm, images: Tensor) -> Tensor:
    """Return `(B, C, H, W)` normalised by the statistics of the whole batch, which the norm remembers."""
    values = images.float()
    count = float(values.numel() // values.shape[1] * _size())
    shape = (1, -1, 1, 1)
    mean = _total(values.sum(dim=(0, 2, 3))) / count
    centred = values - mean.view(shape)
    variance = _total(centred.square().sum(dim=(0, 2, 3))) / count
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            unbiased = variance * (count / max(count - 1, 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
    found = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        found = found * norm.weight.view(shape) + norm.bias.view(shape)
    return found.to(images.dtype)


def _total(part: Tensor) -> Tensor:
    found: Tensor = _Summed.apply(part)
    return found


class _GlobalNorm(nn.BatchNorm2d):
    """A batch norm over the whole batch in training."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input `(B, C, H, W)`."""
        return _normalised(self, input) if self.training else super().forward(input)


def share_batch_norms(network: nn.Module) -> None:
    """Let the batch norms of a network see the whole batch in training; names of weights stay.

    Args:
        network: The network, which is changed.

    Raises:
        UsageError: It has batch norms of another kind.
    """
    from timm.layers.norm_act import BatchNormAct2d

    class _GlobalNormAct(BatchNormAct2d):
        """A batch norm of timm over the whole batch in training, with its activation."""

        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                found: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
                return found
            acted: Tensor = self.act(self.drop(_normalised(self, x)))
            return acted

    kinds: dict[type[nn.Module], type[nn.Module]] = {
        nn.BatchNorm2d: _GlobalNorm,
        BatchNormAct2d: _GlobalNormAct,
    }
    for module in network.modules():
        shared = kinds.get(type(module))
        if shared is not None:
            module.__class__ = shared
        elif isinstance(module, _BatchNorm):
            raise UsageError(
                f"The network has a batch norm of the kind {type(module).__name__}, which cannot see a batch "
                "that several devices share. Train with --devices 1.",
                code="LEX-USE-1290",
            )
