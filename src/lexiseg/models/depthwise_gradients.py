"""Faster gradients of depthwise convolutions in bf16 on a CPU.

Torch computes two gradients of a depthwise convolution in bf16 by slow general code: that of the input with a
stride above 1, and that of the weights with kernels larger than 3. In fp32 it has fast code for both. In the
encoders of the compact networks these gradients would be more than a quarter of a training step in bf16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

#: Kernels up to this size have fast gradients of the weights in bf16.
_LARGEST_FAST_KERNEL = 3


class DepthwiseGradients(TorchFunctionMode):
    """While it is active, depthwise convolutions in bf16 on a CPU compute their slow gradients in fp32.

    Their outputs are the same; all other functions are as they are. Use it around the forward pass.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute a function of torch."""
        if func is torch.conv2d and not kwargs and len(args) == 7 and _has_slow_gradients(*args):
            image, weight, _, stride, padding, _, _ = args
            return _DepthwiseConvolution.apply(
                image.to(torch.bfloat16), weight.to(torch.bfloat16), _pair(stride), _pair(padding)
            )
        return func(*args, **(kwargs or {}))


def _has_slow_gradients(
    image: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Return whether a convolution is one whose gradients in bf16 are slow; see `torch.conv2d`."""
    return (
        groups == weight.shape[0] == image.shape[1] > 1
        and image.device.type == "cpu"
        and _computes_in_bf16(image)
        and bias is None
        and not isinstance(padding, str)
        and _pair(dilation) == (1, 1)
        and (max(_pair(stride)) > 1 or max(weight.shape[2:]) > _LARGEST_FAST_KERNEL)
        and torch.is_grad_enabled()
    )


def _computes_in_bf16(image: Tensor) -> bool:
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return image.dtype == torch.bfloat16


def _pair(value: int | Iterable[int]) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


class _DepthwiseConvolution(torch.autograd.Function):
    """A depthwise convolution without bias; images `(B, C, H, W)` and weights `(C, 1, K, K)` in bf16."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(image, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        image, weight = ctx.saved_tensors
        of_image = of_weight = None
        if ctx.needs_input_grad[0]:
            if max(ctx.stride) > 1:
                # Only the size and the layout of the image count, so its numbers are not converted.
                like = torch.empty_like(image, dtype=torch.float32)
                of_image = _gradients(ctx, gradient.float(), like, weight.float(), (True, False))[0]
                of_image = of_image.to(image.dtype)
            else:
                of_image = _gradients(ctx, gradient, image, weight, (True, False))[0]
        if ctx.needs_input_grad[1]:
            if max(weight.shape[2:]) > _LARGEST_FAST_KERNEL:
                exact = _gradients(ctx, gradient.float(), image.float(), weight.float(), (False, True))
                of_weight = exact[1].to(weight.dtype)
            else:
                of_weight = _gradients(ctx, gradient, image, weight, (False, True))[1]
        return of_image, of_weight, None, None


def _gradients(
    ctx: FunctionCtx, gradient: Tensor, image: Tensor, weight: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Return the gradients of image and weight; see `torch.ops.aten.convolution_backward`."""
    stride, padding = ctx.stride, ctx.padding  # type: ignore[attr-defined]
    of_image, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, image, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), (*wanted, False)
    )
    return of_image, of_weight
