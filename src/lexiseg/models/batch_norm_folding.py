"""Folding batch norms into the convolutions before them: the same function, in fewer passes over memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lexiseg.models.output import SegmentationOutput

# Subclasses of Conv2d may do something to their weights first, such as standardising them.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)

# Largest change of an output that rounding explains, against its largest value.
_TOLERANCE = 1e-3


def example_image(image_size: int) -> Tensor:
    """Return noise as a normalised image `(1, 3, S, S)`, channels last; always the same."""
    noise = torch.randn(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    return noise.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def fold_batch_norms(network: nn.Module, example: Tensor) -> int:
    """Fold every batch norm that directly follows a convolution into it, in place.

    Which norm follows which convolution is found by running `example` through the network, so it works for
    any encoder. timm's norms that carry an activation keep the activation. Where a convolution's output goes
    somewhere else too, its norm cannot be folded; an encoder that does this is seen by its changed outputs
    and left as it was.

    Args:
        network: In eval mode; its output follows `SegmentationOutput`.
        example: An input `(1, 3, H, W)`.

    Returns:
        Number of norms folded.
    """
    assert not network.training
    pairs, before = _find_pairs(network, example)
    undo = [_fold(network, convolution, norm) for convolution, norm in pairs]
    if not _same(before, network(example)):
        for restore in undo:
            restore()
        return 0
    return len(pairs)


def _find_pairs(
    network: nn.Module, example: Tensor
) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], SegmentationOutput]:
    """Return each convolution that one norm follows, with that norm, and the network's output."""
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

    watched = [m for m in network.modules() if type(m) in _CONVOLUTIONS or isinstance(m, nn.BatchNorm2d)]
    hooks = [module.register_forward_hook(watch) for module in watched]
    try:
        output: SegmentationOutput = network(example)
    finally:
        for hook in hooks:
            hook.remove()
    # A module used twice has two followers; folding would change one of them.
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1], output


def _fold(network: nn.Module, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Callable[[], None]:
    """Fold one norm and return what undoes it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    old_weight, old_bias = convolution.weight, convolution.bias
    weight, bias = fuse_conv_bn_weights(
        old_weight, old_bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    layout = torch.channels_last
    convolution.weight = nn.Parameter(weight.detach().contiguous(memory_format=layout), requires_grad=False)
    convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)
    # What timm's norms do besides: dropout (none in eval mode) and an activation.
    activation = getattr(norm, "act", None)
    rest = activation if isinstance(activation, nn.Module) else nn.Identity()
    places = [
        (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if child is norm
    ]
    for parent, name in places:
        setattr(parent, name, rest)

    def undo() -> None:
        convolution.weight, convolution.bias = old_weight, old_bias
        for parent, name in places:
            setattr(parent, name, norm)

    return undo


def _same(before: SegmentationOutput, after: SegmentationOutput) -> bool:
    """Say whether two outputs differ by no more than rounding."""
    pairs = [(before.logits, after.logits)]
    pairs += [(scores, after.retrieval[name]) for name, scores in before.retrieval.items()]
    return all(bool((a - b).abs().max() <= _TOLERANCE * (1 + a.abs().max())) for a, b in pairs)
