"""The phases of a compact training: small images first, and early layers that may freeze after them."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.training.inputs.batch import Batch


def early_layers(network: nn.Module) -> list[nn.Module]:
    """Return the encoder's layers up to its last features at stride 4 or finer, if it has such.

    Their backward pass costs as much as that of all other layers, as their maps are the largest.
    """
    encoder: Any = network.encoder
    info = encoder.feature_info
    early = [
        module for module, stride in zip(info.module_name(), info.reduction(), strict=True) if stride <= 4
    ]
    if not early:
        return []
    # timm's feature extractors join the first levels of some names: "stages.0" is the module "stages_0".
    last = early[-1].replace(".", "_")
    # timm's norms own parameters and hold their activation as a child, so leaves alone would miss them.
    modules = [
        (name, m)
        for name, m in encoder.named_modules()
        if name and (not any(m.children()) or any(True for _ in m.parameters(recurse=False)))
    ]
    inside = [i for i, (name, _) in enumerate(modules) if f"{name}.".replace(".", "_").startswith(f"{last}_")]
    return [m for _, m in modules[: max(inside, default=-1) + 1]]


def freeze(layers: list[nn.Module]) -> None:
    """Stop layers from learning: no gradients, and norms use their running statistics."""
    for layer in layers:
        layer.eval()
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(False)


def shrink(batch: Batch, size: int) -> Batch:
    """Resize a batch to the smaller size of a phase.

    Args:
        batch: Its labels, and where pictures show their images, are resized with the nearest pixel; images
            and the pictures that belong to them are resized smoothly, to float32 in 0..255.
        size: Height and width in pixels; a batch that has them already stays as it is.
    """
    if batch.image.shape[-1] == size:
        return batch

    def smooth(pixels: Tensor) -> Tensor:
        return F.interpolate(
            pixels.float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )

    def nearest(labels: Tensor) -> Tensor:
        return F.interpolate(labels, size=(size, size), mode="nearest-exact")

    return batch._replace(
        image=smooth(batch.image),
        labels=nearest(batch.labels),
        inside=None if batch.inside is None else nearest(batch.inside),
        picture=None if batch.picture is None else smooth(batch.picture),
    )
