"""Convolution blocks of the published STPNet (IEEE TIP 2025, arXiv 2504.01561).

Shape legend: B images, C channels, H x W pixels, L tokens, D features of a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormAct(nn.Module):
    """Convolution, batch normalisation, ReLU; the size is kept.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Odd kernel size.
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        return F.relu(self.norm(self.conv(x)))


class TokenConvNormAct(nn.Module):
    """The same along one axis: 1-D convolution of width 3, batch normalisation, ReLU.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, L) to (B, out_channels, L)."""
        return F.relu(self.norm(self.conv(x)))


class DoubleConv(nn.Sequential):
    """Two `ConvNormAct`, the first of which changes the number of channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(ConvNormAct(in_channels, out_channels), ConvNormAct(out_channels, out_channels))


class PromptedDown(nn.Module):
    """CNN encoder step: the text as one more channel, half the size, two convolutions.

    Args:
        in_channels: Channels in, without the text's.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convs = DoubleConv(in_channels + 1, out_channels)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """Encode one step.

        Args:
            x: Map, (B, in_channels, H, W).
            text: Projected prompt, (B, T, in_channels).

        Returns:
            Map (B, out_channels, H / 2, W / 2).
        """
        # One number per image, the same at every pixel.
        level = text.mean(dim=(1, 2))[:, None, None, None].expand(-1, 1, *x.shape[2:])  # (B, 1, H, W)
        x = torch.cat([x, level], dim=1)  # (B, in_channels + 1, H, W)
        return self.convs(F.max_pool2d(x, 2))  # type: ignore[no-any-return]


class SpatialAttention(nn.Module):
    """Depthwise convolution gated by one number per pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.gate = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = self.depthwise(x)
        return x * torch.sigmoid(self.gate(x))


class MultiScaleAttention(nn.Module):
    """The input, weighted by its own surroundings seen at three dilations (MSAtt)."""

    DILATIONS = (6, 12, 18)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.surroundings = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)
            for dilation in self.DILATIONS
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        near, middle, far = (conv(x) for conv in self.surroundings)
        return x * self.mix(near + middle + far)  # type: ignore[no-any-return]


class SpatialScaleAttention(nn.Module):
    """SSA block: spatial and multi-scale attention side by side, with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, channels, 1)
        self.spatial = SpatialAttention(channels)
        self.multi_scale = MultiScaleAttention(channels)
        self.project_out = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        h = F.relu(self.project_in(x))
        both = torch.cat([self.spatial(h), self.multi_scale(h)], dim=1)  # (B, 2C, H, W)
        return self.project_out(both) + x  # type: ignore[no-any-return]


class Up(nn.Module):
    """CNN decoder step: twice the size, joined with the encoder's map, two convolutions.

    Args:
        in_channels: Channels of the coarse map and the skip connection together.
        out_channels: Channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convs = DoubleConv(in_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, C, H, W) and the skip (B, C', 2H, 2W) to (B, out_channels, 2H, 2W)."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.convs(torch.cat([skip, x], dim=1))  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """Joins the CNN decoder's map with the transformer decoder's.

    The published code splits the fused map and lets only the part behind the transformer's channels go on; we
    keep that. At the finest scale this part has a single channel, which is added to every channel of the
    CNN's map.

    Args:
        cnn_channels: Channels of the CNN decoder's map.
        token_channels: Channels of the transformer decoder's map: as many, or one.
    """

    def __init__(self, cnn_channels: int, token_channels: int) -> None:
        super().__init__()
        self.cnn_channels = cnn_channels
        both = cnn_channels + token_channels
        self.mix = nn.Sequential(
            nn.Conv2d(both, both, 1, bias=False), nn.ReLU(), nn.Conv2d(both, both, 1, bias=False)
        )
        self.refine = nn.Sequential(
            nn.Conv2d(token_channels, token_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(token_channels, token_channels, 3, padding=1),
        )

    def forward(self, cnn: Tensor, tokens: Tensor) -> Tensor:
        """Map (B, cnn_channels, H, W) and (B, token_channels, H, W) to (B, cnn_channels, H, W)."""
        f = torch.cat([cnn, tokens], dim=1)  # (B, cnn_channels + token_channels, H, W)
        f = f + (self.mix(f) + f)
        return self.refine(f[:, self.cnn_channels :]) + cnn  # type: ignore[no-any-return]
