"""A text bank of noise, for networks whose words need no meaning."""

from __future__ import annotations

import torch

from lexiseg.models.text_bank import TextBank

#: Number of phrases per factor.
SIZES = {"laterality": 2, "count": 2, "left": 8, "right": 8}


def fake_bank() -> TextBank:
    """Return two layers of five tokens, 384 wide, for every phrase; always the same."""
    generator = torch.Generator().manual_seed(0)
    return TextBank(
        encoder="fake",
        phrases={name: tuple(f"{name} {i}" for i in range(size)) for name, size in SIZES.items()},
        embeddings={name: torch.randn(size, 2, 5, 384, generator=generator) for name, size in SIZES.items()},
    )
