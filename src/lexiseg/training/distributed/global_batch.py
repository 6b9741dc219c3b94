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
from torch.nn import functional as F
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
        output: A dataclass of tensors, dictionaries of them, and None. The first dimension of a tensor is the
            batch; a tensor without dimensions is a mean over the batch.

    Raises:
        UsageError: It holds something else.
    """
    assert dataclasses.is_dataclass(output)
    assert not isinstance(output, type)
    values = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return dataclasses.replace(output, **{name: _gather_value(name, value) for name, value in values.items()})


def _gather_value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Tensor):
        # Each process has an equal part of the batch, so the mean of their means is that of the batch.
        return gather(value) if value.ndim else gather(value[None]).mean()
    if isinstance(value, dict):
        return {key: _gather_value(f"{name}.{key}", item) for key, item in value.items()}
    raise UsageError(
        f"The output of the network has a {type(value).__name__} in {name!r}, which several devices cannot "
        "put together; they need tensors, or dictionaries of them. Train with --devices 1.",
        code="LEX-USE-1821",
    )


class _Normalised(torch.autograd.Function):
    """The input of a batch norm, normalised by the statistics of the whole batch.

    Passes over the images are those of torch's own batch norm, which are quick; only sums per channel go from
    process to process.
    """

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        mean: Tensor,
        variance: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        epsilon: float,
    ) -> Tensor:
        """Return `(B, C, H, W)` normalised by mean and variance `(C,)`, times weight, plus bias `(C,)`."""
        ctx.save_for_backward(images, mean, variance, weight)
        ctx.epsilon = epsilon
        return F.batch_norm(images, mean, variance, weight, bias, training=False, eps=epsilon)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, mean, variance, weight = ctx.saved_tensors
        # In float32, also for images in bf16: slope and offset are the same at every pixel of a channel, and
        # rounding would change them at every pixel in the same way. Only the sum of all terms is rounded.
        wide = images.float()
        # As if mean and variance were constants: the images' gradient is that of the scale alone.
        scaled, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            *(gradients[0].float(), wide, weight, mean, variance, None, None, False, ctx.epsilon),
            [True, True, True],
        )
        # They are not: each image moves both, by what the whole batch says.
        sums = torch.stack((of_weight, of_bias))
        dist.all_reduce(sums)
        deviations = torch.rsqrt(variance + ctx.epsilon)
        scale = deviations if weight is None else deviations * weight
        count = _count(images)
        slope = -scale * deviations * sums[0] / count
        offset = -scale * sums[1] / count - slope * mean
        shape = (1, -1, 1, 1)
        scaled.addcmul_(wide, slope.view(shape)).add_(offset.view(shape))
        needs = ctx.needs_input_grad
        of_images = scaled.to(images.dtype)
        return of_images, None, None, of_weight if needs[3] else None, of_bias if needs[4] else None, None


def _count(images: Tensor) -> float:
    """Return the number of values of a channel in the whole batch; each process has an equal part."""
    return float(images.numel() // images.shape[1] * _size())


def _normalised(norm: _BatchNorm, images: Tensor) -> Tensor:
    """Return `(B, C, H, W)` normalised by the statistics of the whole batch, which the norm remembers."""
    with torch.no_grad():
        mean, variance = _statistics(images)
        if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
            count = _count(images)
            unbiased = variance * (count / max(count - 1, 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
    weight, bias = (norm.weight, norm.bias) if norm.affine else (None, None)
    found: Tensor = _Normalised.apply(images, mean, variance, weight, bias, norm.eps)
    return found


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance `(C,)` float32 of the channels of the whole batch."""
    channels = images.shape[1]
    # Remembered ones in float32, which are not needed here, make the new ones float32 too.
    unused = torch.zeros(2, channels, device=images.device)
    own = torch.stack(torch.batch_norm_update_stats(images, unused[0], unused[1], 0.0))
    parts = [torch.empty_like(own) for _ in range(_size())]
    dist.all_gather(parts, own)
    means, variances = torch.stack(parts, dim=1)
    mean = means.mean(dim=0)
    return mean, (variances + (means - mean).square()).mean(dim=0)


class _GlobalNorm(nn.BatchNorm2d):
    """A batch norm over the whole batch in training."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input `(B, C, H, W)`."""
        return _normalised(self, input) if self.training else super().forward(input)


def check_batch_norms(network: nn.Module) -> None:
    """Refuse a network with batch norms that cannot see a batch of several processes.

    Raises:
        UsageError: It has some.
    """
    from timm.layers.norm_act import BatchNormAct2d

    for module in network.modules():
        if isinstance(module, _BatchNorm) and type(module) not in (nn.BatchNorm2d, BatchNormAct2d):
            raise UsageError(
                f"The network has a batch norm of the kind {type(module).__name__}, which cannot see a batch "
                "that several devices share. Train with --devices 1.",
                code="LEX-USE-1290",
            )


def share_batch_norms(network: nn.Module) -> None:
    """Let the batch norms of a network see the whole batch in training; names of weights stay.

    Args:
        network: The network, which is changed.

    Raises:
        UsageError: It has batch norms of another kind.
    """
    check_batch_norms(network)
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
