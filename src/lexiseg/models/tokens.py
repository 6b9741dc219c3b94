"""From an encoder's deep features to tokens with positions, which all compact networks use.

Shape legend: B batch, T = H/16 * W/16 tokens, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lexiseg.models.pyramid import PyramidLevels

_HEADS = 4  # of the attention over tokens
_POSITION_GRID = 14  # learned positions are laid out for 224 px and interpolated to other sizes


class TokenReader(nn.Module):
    """Makes tokens of the features at strides 16 and 32: projected, placed, and mixed by one attention layer.

    Args:
        levels: Which of the encoder's features to use.
        width: Width D of the tokens.
    """

    def __init__(self, levels: PyramidLevels, *, width: int) -> None:
        super().__init__()
        self.heads = _HEADS
        self.tokens = nn.Conv2d(sum(levels.channels[-2:]), width, 1)  # those at strides 16 and 32
        self.positions = nn.Parameter(torch.zeros(1, width, _POSITION_GRID, _POSITION_GRID))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.mixer = nn.TransformerEncoderLayer(
            width,
            _HEADS,
            dim_feedforward=2 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.norm = nn.LayerNorm(width)

    def read(self, stride16: Tensor, stride32: Tensor) -> Tensor:
        """Return tokens `(B, T, D)`, row by row.

        Args:
            stride16: Features `(B, C_16, H/16, W/16)`.
            stride32: Features `(B, C_32, H/32, W/32)`.
        """
        size = stride16.shape[-2:]
        deep = F.interpolate(stride32, size=size, mode="nearest")
        grid = self.tokens(torch.cat([stride16, deep], dim=1))  # (B, D, H/16, W/16)
        positions: Tensor = self.positions
        if positions.shape[-2:] != size:
            positions = F.interpolate(positions, size=size, mode="bilinear", align_corners=False)
        tokens_btd = rearrange(grid + positions, "b d h w -> b (h w) d")
        mixed: Tensor = self.norm(self.mixer(tokens_btd))
        return mixed


def as_map(tokens_btd: Tensor, stride16: Tensor) -> Tensor:
    """Lay tokens `(B, T, D)` out as `(B, D, H/16, W/16)`, the grid of the features they were read from."""
    return rearrange(tokens_btd, "b (h w) d -> b d h w", h=stride16.shape[-2])
