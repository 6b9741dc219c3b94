"""CLIPSeg's decoder, which one embedding conditions (FiLM, Perez et al. 2018).

Shape legend: B images, h x w = N patches; widths V of the vision tower, D of the embedding, R of the decoder;
C mask channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPSegConfig
from transformers.models.clipseg.modeling_clipseg import CLIPSegDecoder


class FilmDecoder(nn.Module):
    """CLIPSeg's decoder, for any number of classes and grids of any shape.

    Args:
        config: Configuration of CLIPSeg.
        num_classes: Number of classes with the background.
    """

    def __init__(self, config: CLIPSegConfig, num_classes: int) -> None:
        super().__init__()
        clipseg: Any = CLIPSegDecoder(config)
        self.conditional_layer = config.conditional_layer
        self.reduces: nn.ModuleList = clipseg.reduces
        self.film_mul: nn.Linear = clipseg.film_mul
        self.film_add: nn.Linear = clipseg.film_add
        self.layers: nn.ModuleList = clipseg.layers
        head = clipseg.transposed_convolution
        upsample: list[nn.Module]
        output: Any
        *upsample, output = head if isinstance(head, nn.Sequential) else (head,)
        if num_classes > 2:
            output = nn.ConvTranspose2d(output.in_channels, num_classes, output.kernel_size, output.stride)
            nn.init.xavier_normal_(output.weight)
            nn.init.zeros_(output.bias)
        self.upsample = nn.Sequential(*upsample)
        self.output: nn.ConvTranspose2d = output

    def forward(self, features: Sequence[Tensor], condition: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return logits (B, C, h * patch size, w * patch size).

        Args:
            features: Hidden states of the vision tower, shallow to deep, (B, 1 + N, V) each.
            condition: Embedding that says what to segment, (B, D).
            grid: Number of patches (h, w).
        """
        x = torch.zeros((), device=condition.device)
        deep_to_shallow = zip(reversed(features), self.reduces, self.layers, strict=True)
        for position, (feature, reduce, layer) in enumerate(deep_to_shallow):
            x = reduce(feature) + x  # (B, 1 + N, R)
            if position == self.conditional_layer:
                x = self.film_mul(condition)[:, None] * x + self.film_add(condition)[:, None]
            x = layer(x, attention_mask=None)
        x = x[:, 1:].transpose(1, 2).reshape(x.shape[0], -1, *grid)  # without class token: (B, R, h, w)
        logits: Tensor = self.output(self.upsample(x))
        return logits
