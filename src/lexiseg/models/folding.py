"""Folding batch norms into the convolutions before them: the same function, in fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module, example: Tensor) -> int:
    """Fold every batch norm that directly follows a convolution into it, in place.

    Which norm follows which convolution is found by running `example` through the network, so it works for any
    encoder. timm's norms that carry an activation keep the activation.

    Args:
        network: In eval mode.
        example: An input `(1, 3, H, W)`.

    Returns:
        Number of norms folded.
    """
    assert not network.training
    made_by: dict[int, nn.Conv2d] = {}
    kept: list[Tensor] = []  # keeps ids unique while the pass runs
    calls: dict[nn.Module, int] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def watch(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            made_by[id(output)] = module
            kept.append(output)
        elif id(args[0]) in made_by:
            assert isinstance(module, nn.BatchNorm2d)
            pairs.append((made_by[id(args[0])], module))

    watched = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, watched)]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    folded = 0
    for convolution, norm in pairs:
        # A module used twice has two followers; folding would change one of them.
        if calls[convolution] == calls[norm] == 1:
            _fold(convolution, norm)
            _replace(network, norm, _activation(norm))
            folded += 1
    return folded


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    layout = torch.channels_last
    convolution.weight = nn.Parameter(weight.detach().contiguous(memory_format=layout), requires_grad=False)
    convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)


def _activation(norm: nn.BatchNorm2d) -> nn.Module:
    """Return what timm's norm does besides normalising: dropout (none in eval mode) and an activation."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
