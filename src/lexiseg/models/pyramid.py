"""The encoder's feature pyramid and the light decoder of the compact networks.

Shape legend: B batch, H, W image size (multiples of 32), C_s channels at stride s, D prompt width. Strides
are 2, 4, 8, 16, 32; some encoders have none at 2 (or none at 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.errors import UsageError
from lexiseg.models.output import pool

#: Channels of the decoder's stage at each stride.
_WIDTHS = {16: 96, 8: 48, 4: 32, 2: 16}


@dataclass(frozen=True, kw_only=True)
class PyramidLevels:
    """Which features of an encoder make the pyramid.

    Attributes:
        indices: Positions in the encoder's list of features, finest first.
        strides: Stride of each, rising, the last two 16 and 32.
        channels: Channels C_s of each.
        channels_axis: Axis of the channels in the encoder's features: 1, or 3 for most window transformers.
    """

    indices: tuple[int, ...]
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    channels_axis: int = 1

    def choose(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the pyramid, each `(B, C_s, H/s, W/s)`, finest first."""
        chosen = [features[index] for index in self.indices]
        return (
            chosen if self.channels_axis == 1 else [level.movedim(self.channels_axis, 1) for level in chosen]
        )


def pyramid_levels(encoder: nn.Module, *, name: str) -> PyramidLevels:
    """Choose the features of an encoder at strides 2 to 32; of several at one stride, the deepest.

    Args:
        encoder: timm `features_only` encoder.
        name: Its name, for the message.

    Raises:
        UsageError: It has no features at stride 16 or 32.
    """
    info: Any = encoder.feature_info
    found: list[int] = info.reduction()
    last = {stride: index for index, stride in enumerate(found) if stride == 32 or stride in _WIDTHS}
    strides = tuple(sorted(last))
    if strides[-2:] != (16, 32):
        raise UsageError(
            f"The encoder '{name}' has features at the strides {', '.join(map(str, found))}, but the compact "
            f"network needs 16 and 32. Choose another, such as tf_efficientnet_lite0, resnet18 or "
            f"convnext_atto.",
            code="LEX-USE-017",
        )
    channels: list[int] = info.channels()
    layout = str(getattr(encoder, "output_fmt", "NCHW") or "NCHW")
    return PyramidLevels(
        indices=tuple(last[stride] for stride in strides),
        strides=strides,
        channels=tuple(channels[last[stride]] for stride in strides),
        channels_axis=3 if layout.endswith("NHWC") else 1,
    )


def image_features(pyramid: Sequence[Tensor], inside: Tensor | None = None) -> Tensor:
    """Return the channel means of two levels of a pyramid, `(B, C_s + C_16)` float32.

    The levels are that at stride 16 and the one two levels finer, usually at stride 4. The coarsest level is
    left out: training adapts it most to the lesions, and it tells kinds of images apart least.

    Args:
        pyramid: Features `(B, C_s, H/s, W/s)`, finest first.
        inside: Where the pictures show the image, `(B, 1, H, W)`; None: everywhere.
    """
    return pool((pyramid[max(0, len(pyramid) - 4)], pyramid[-2]), inside)


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
        modulated: Tensor = features * (1 + scale) + shift
        return modulated


class ConstantPrompt(nn.Module):
    """The prompt of a network without words: learned, and the same for every image.

    Prompts scale and shift the features of every stage, which alone makes a network learn faster in the first
    hundreds of steps (docs/results.md). A network without prompts would do worse because it lacks this part,
    not because it lacks words.

    Args:
        width: Width D of prompts.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.said = nn.Parameter(torch.randn(width))  # takes the place of an embedding of words
        self.prompt = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, batch: int) -> Tensor:
        """Return the prompt for each of `batch` images, `(B, D)`."""
        prompt: Tensor = self.prompt(self.said[None])  # (1, D)
        return prompt.expand(batch, -1)


class PyramidDecoder(nn.Module):
    """Decode a pyramid into mask logits, prompted at every scale but the deepest.

    The finest convolutions run at the stride of the finest level and the logits are resized bilinearly: on a
    CPU a stage at full resolution costs as much as all others together (see docs/performance.md).

    Args:
        levels: The pyramid's levels.
        out_channels: 1 for a binary mask, else one per class with the background.
        prompt_width: Width D of the prompts.
        guide_channels: Channels of a spatial guide at stride 16 that joins the first stage.
    """

    def __init__(
        self,
        levels: PyramidLevels,
        *,
        out_channels: int,
        prompt_width: int,
        guide_channels: int,
    ) -> None:
        super().__init__()
        self.finest_stride = levels.strides[0]
        *skips, deepest = levels.channels
        self.stages = nn.ModuleList()
        self.modulations = nn.ModuleList()
        incoming = deepest
        for stage, (skip, stride) in enumerate(
            zip(reversed(skips), reversed(levels.strides[:-1]), strict=True)
        ):
            width = _WIDTHS[stride]
            guide = guide_channels if stage == 0 else 0
            self.stages.append(ConvBlock(incoming + skip + guide, width))
            self.modulations.append(Modulation(prompt_width, width))
            incoming = width
        self.head = nn.Conv2d(incoming, out_channels, 1)

    def forward(self, pyramid: Sequence[Tensor], prompts: Sequence[Tensor], guide: Tensor) -> Tensor:
        """Return mask logits at the image's size.

        Args:
            pyramid: Features `(B, C_s, H/s, W/s)`, finest first.
            prompts: One prompt `(B, D)` per stage, coarsest first: stride 16, 8, and so on.
            guide: Spatial guide `(B, G, H/16, W/16)`.

        Returns:
            Logits `(B, out_channels, H, W)`, float32.
        """
        *skips, x = pyramid  # x: (B, C_32, H/32, W/32)
        for stage, (block, skip) in enumerate(zip(self.stages, reversed(skips), strict=True)):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            parts = [x, skip] if stage > 0 else [x, skip, guide.to(x.dtype)]
            x = block(torch.cat(parts, dim=1))  # (B, width, H/s, W/s), s = 16, 8, ...
            x = self.modulations[stage](x, prompts[stage])
        logits: Tensor = self.head(x).float()  # (B, out_channels, H/s, W/s), s = finest_stride
        factor = float(self.finest_stride)
        return F.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)
