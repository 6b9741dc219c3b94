"""The compact frame both systems share: an encoder's feature pyramid and a light decoder.

Shape legend: B batch, H, W image size (multiples of 32), C_s channels at stride s, D prompt width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions with batch norm and ReLU: `(B, C_in, h, w)` to `(B, C_out, h, w)`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Modulation(nn.Module):
    """Feature-wise scale and shift by a prompt (FiLM, Perez et al. 2018).

    The last layer starts at zero, so that training starts from the unprompted network.
    """

    def __init__(self, prompt_width: int, channels: int) -> None:
        super().__init__()
        self.scale_shift = nn.Linear(prompt_width, 2 * channels)
        nn.init.zeros_(self.scale_shift.weight)
        nn.init.zeros_(self.scale_shift.bias)

    def forward(self, features: Tensor, prompt: Tensor) -> Tensor:
        """Return `features (B, C, h, w)` scaled and shifted by `prompt (B, D)`."""
        scale, shift = self.scale_shift(prompt).to(features.dtype)[:, :, None, None].chunk(2, dim=1)
        return features * (1 + scale) + shift


class PyramidDecoder(nn.Module):
    """Decode a five-level pyramid (strides 2 to 32) into mask logits, prompted at four scales.

    The finest convolutions run at half the image's resolution and the logits are resized bilinearly: on a CPU the
    full-resolution stage costs as much as all others together (see docs/performance.md).

    Args:
        channels: Channels of the encoder's levels at strides 2, 4, 8, 16, 32.
        widths: Channels of the decoder's stages at strides 16, 8, 4, 2.
        out_channels: 1 for a binary mask, else one per class with the background.
        prompt_width: Width D of the prompts; None builds a decoder without prompts.
        guide_channels: Channels of a spatial guide at stride 16 that joins the first stage; 0 for none.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        widths: Sequence[int] = (96, 48, 32, 16),
        out_channels: int,
        prompt_width: int | None,
        guide_channels: int = 0,
    ) -> None:
        super().__init__()
        *skips, deepest = channels
        self.stages = nn.ModuleList()
        self.modulations = nn.ModuleList()
        incoming = deepest
        for stage, (skip, width) in enumerate(zip(reversed(skips), widths, strict=True)):
            guide = guide_channels if stage == 0 else 0
            self.stages.append(ConvBlock(incoming + skip + guide, width))
            if prompt_width is not None:
                self.modulations.append(Modulation(prompt_width, width))
            incoming = width
        self.head = nn.Conv2d(incoming, out_channels, 1)

    def forward(
        self, pyramid: Sequence[Tensor], prompts: Sequence[Tensor] | None = None, guide: Tensor | None = None
    ) -> Tensor:
        """Return mask logits at the image's size.

        Args:
            pyramid: Features `(B, C_s, H/s, W/s)` at strides 2, 4, 8, 16, 32.
            prompts: Four prompts `(B, D)`, for the stages at strides 16, 8, 4, 2.
            guide: Spatial guide `(B, G, H/16, W/16)`.

        Returns:
            Logits `(B, out_channels, H, W)`, float32.
        """
        *skips, x = pyramid  # x: (B, C_32, H/32, W/32)
        for stage, (block, skip) in enumerate(zip(self.stages, reversed(skips), strict=True)):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            parts = [x, skip] if guide is None or stage > 0 else [x, skip, guide.to(x.dtype)]
            x = block(torch.cat(parts, dim=1))  # (B, width, H/s, W/s), s = 16, 8, 4, 2
            if prompts is not None:
                x = self.modulations[stage](x, prompts[stage])
        logits: Tensor = self.head(x).float()  # (B, out_channels, H/2, W/2)
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
