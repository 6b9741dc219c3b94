"""Transformer branches of the published STPNet: every scale works on the same 14 x 14 tokens.

Shape legend: B images, L = 196 image tokens, T text tokens, C channels of the scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lexiseg.systems.stpnet.paper_blocks import ConvNormAct, TokenConvNormAct

#: Side of the token grid, and its number of tokens.
GRID = 14
TOKENS = GRID * GRID

_HEADS = 8
_DROPOUT = 0.1


class Attention(nn.Module):
    """Multi-head self-attention with 8 heads.

    Args:
        width: Features of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, width) to the same shape."""
        qkv = self.qkv(x).unflatten(2, (3, _HEADS, -1))  # (B, L, 3, heads, width / heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.project(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two linear layers, hidden width 4C; as published, GELU follows the second layer as well."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 4 * width)
        self.reduce = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, width) to the same shape."""
        x = self.dropout(F.gelu(self.expand(x)))
        return self.dropout(F.gelu(self.reduce(x)))  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """Pre-norm block: `x + Attention(LN(x))`, then `x + FeedForward(LN(x))`.

    Args:
        width: Features of a token in and out.
        attention_width: Features of a token in the attention; what exceeds `width` is dropped after it.
    """

    def __init__(self, width: int, *, attention_width: int | None = None) -> None:
        super().__init__()
        self.width = width
        attention_width = attention_width or width
        self.attention_norm = nn.LayerNorm(attention_width)
        self.attention = Attention(attention_width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, attention_width) to (B, L, width)."""
        x = x + self.attention(self.attention_norm(x))
        x = x[..., : self.width]
        return x + self.feed_forward(self.feed_forward_norm(x))  # type: ignore[no-any-return]


class TokenEncoder(nn.Module):
    """Encoder of one scale: image tokens and text tokens side by side in one block.

    Args:
        channels: Channels C of the scale.
        patch_size: Pixels of the scale's map per token and side.
        text_tokens: Number T of text tokens.
        has_finer: Whether a finer scale's tokens join.
    """

    def __init__(self, channels: int, *, patch_size: int, text_tokens: int, has_finer: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, channels, patch_size, stride=patch_size)
        self.positions = nn.Parameter(torch.zeros(1, TOKENS, channels))
        self.dropout = nn.Dropout(_DROPOUT)
        self.spread_text = TokenConvNormAct(text_tokens, TOKENS)
        self.block = TransformerBlock(channels, attention_width=2 * channels)
        self.narrow = TokenConvNormAct(channels, channels // 2) if has_finer else None

    def forward(self, x: Tensor, text: Tensor, finer: Tensor | None) -> Tensor:
        """Encode one scale.

        Args:
            x: Map of the scale, (B, C, H, W).
            text: Prompt of the scale, (B, T, C).
            finer: Tokens of the next finer scale, (B, L, C / 2); None at the finest.

        Returns:
            Tokens (B, L, C).
        """
        tokens = self.patches(x).flatten(2).transpose(1, 2)  # (B, L, C)
        tokens = self.dropout(tokens + self.positions)
        words = self.spread_text(text)  # (B, L, C): the text's T tokens become one per image token
        tokens = self.block(torch.cat([tokens, words], dim=2))  # (B, L, 2C) -> (B, L, C)
        if self.narrow is None:
            return tokens  # type: ignore[no-any-return]
        assert finer is not None
        tokens = self.narrow(tokens.transpose(1, 2)).transpose(1, 2)  # (B, L, C / 2)
        return torch.cat([tokens, finer], dim=2)


class TokenDecoder(nn.Module):
    """Decoder of one scale: a plain block, plus the next coarser scale's tokens.

    Args:
        channels: Channels C of the scale.
        has_coarser: Whether a coarser scale's tokens are added.
    """

    def __init__(self, channels: int, *, has_coarser: bool) -> None:
        super().__init__()
        self.block = TransformerBlock(channels)
        self.narrow = TokenConvNormAct(2 * channels, channels) if has_coarser else None

    def forward(self, tokens: Tensor, coarser: Tensor | None) -> Tensor:
        """Map the encoder's tokens (B, L, C) and the coarser decoder's (B, L, 2C) to (B, L, C)."""
        tokens = self.block(tokens)
        if self.narrow is None:
            return tokens
        assert coarser is not None
        return tokens + self.narrow(coarser.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class Reconstruct(nn.Module):
    """Tokens back to a map: nearest upsampling, then a 1 x 1 convolution.

    Args:
        in_channels: Channels C of the tokens.
        out_channels: Channels of the map.
        scale: Pixels of the map per token and side.
    """

    def __init__(self, in_channels: int, out_channels: int, *, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.project = ConvNormAct(in_channels, out_channels, kernel_size=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, L, in_channels) to (B, out_channels, 14 * scale, 14 * scale)."""
        x = tokens.transpose(1, 2).reshape(*tokens.shape[::2], GRID, GRID)  # (B, C, 14, 14)
        # The paper upsamples first. Copies of a pixel change neither a 1 x 1 convolution nor a batch's mean
        # and variance, so projecting first gives the same map at 1 / scale^2 of the cost.
        x = self.project(x)
        return F.interpolate(x, scale_factor=self.scale, mode="nearest")
