"""How the published STPNet retrieves its own text: image embedding, factor heads, text repository.

Shape legend: B images, L image tokens, D width of the text embeddings (768 as published), N phrases of a
factor, T text tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from lexiseg.errors import WeightsError

_POSITION_WIDTH = 32
_POOLING_TEMPERATURE = 0.1
_HEAD_WIDTH = 64


class ImageEncoder(nn.Module):
    """ResNet-101 whose two coarsest maps are cut into tokens as wide as the text.

    Args:
        width: Width D of a token.
        weights: A torchvision ResNet-101 state_dict to start from; None starts at random.

    Raises:
        WeightsError: `weights` is no ResNet-101 state_dict.
    """

    def __init__(self, width: int, *, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        resnet = torchvision.models.resnet101(weights=None)
        if weights is not None:
            # The classifier is not used, so a state_dict without it is complete.
            kept = {"fc.weight": resnet.fc.weight, "fc.bias": resnet.fc.bias} | dict(weights)
            try:
                resnet.load_state_dict(kept)
            except RuntimeError as error:
                raise WeightsError(
                    f"Expected the state_dict of a torchvision ResNet-101 for the image encoder: {error}",
                    code="LEX-WEIGHTS-037",
                ) from error
        self.width = width
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    def forward(self, image: Tensor) -> Tensor:
        """Map images (B, 3, 224, 224) to tokens (B, L, D), L = 3072 * 196 / D."""
        x = self.layer2(self.layer1(self.stem(image)))  # (B, 512, 28, 28)
        x3 = self.layer3(x)  # (B, 1024, 14, 14)
        x4 = F.interpolate(self.layer4(x3), scale_factor=2, mode="nearest")  # (B, 2048, 14, 14)
        x = torch.cat([x3, x4], dim=1)  # (B, 3072, 14, 14)
        # As published: a reshape across channels and pixels, not a projection.
        return x.reshape(x.shape[0], self.width, -1).transpose(1, 2)  # (B, L, D)


class GeneralisedPooling(nn.Module):
    """GPO of VSE-infinity (Chen et al., CVPR 2021): a learned weighted mean of the sorted features."""

    codes: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.gru = nn.GRU(_POSITION_WIDTH, _POSITION_WIDTH, batch_first=True, bidirectional=True)
        self.score = nn.Linear(_POSITION_WIDTH, 1, bias=False)
        self.register_buffer("codes", _position_codes(length), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Pool (B, L, D) to (B, D); tokens after the first `length` do not take part."""
        both, _ = self.gru(self.codes[None])  # (1, length, 2 * 32)
        states = both.unflatten(2, (2, _POSITION_WIDTH)).mean(dim=2)  # (1, length, 32)
        weights = torch.softmax(self.score(states) / _POOLING_TEMPERATURE, dim=1)  # (1, length, 1)
        ranked = features[:, : self.length].sort(dim=1, descending=True).values  # each channel on its own
        return (ranked * weights).sum(dim=1)


def _position_codes(length: int) -> Tensor:
    """Return sinusoidal codes (length, 32): sine and cosine alternate (Vaswani et al., 2017, section 3.5)."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    even = torch.arange(0, _POSITION_WIDTH, 2, dtype=torch.float32)
    angle = position * torch.exp(even * (-math.log(10000.0) / _POSITION_WIDTH))  # (length, 16)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class Aggregator(nn.Module):
    """Tokens to one vector: residual MLP per token, then generalised pooling.

    Args:
        width: Width D of a token.
        tokens: Number L of tokens.
    """

    def __init__(self, width: int, *, tokens: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.hidden = nn.Linear(width, width // 2)
        self.norm = nn.BatchNorm1d(width // 2)
        self.output = nn.Linear(width // 2, width)
        # As published, the length given to the pooling is the width of a token, not the number of tokens.
        self.pooling = GeneralisedPooling(min(width, tokens))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, L, D) to unit vectors (B, D)."""
        hidden = self.hidden(tokens)  # (B, L, D / 2)
        hidden = F.relu(self.norm(hidden.flatten(0, 1))).reshape(hidden.shape)
        features = self.linear(tokens) + self.output(hidden)  # (B, L, D)
        return F.normalize(self.pooling(features), dim=1, eps=1e-8)


class FactorHead(nn.Module):
    """Classifier of one factor: a linear layer plus an MLP.

    The published code skips the batch normalisation for a batch of one image; here a result never depends on
    the batch size.

    Args:
        width: Width D of the image vector.
        phrases: Number N of phrases.
        depth: Number of linear layers of the MLP, at least 2.
    """

    def __init__(self, width: int, phrases: int, *, depth: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, phrases)
        self.hidden = nn.ModuleList(
            nn.Linear(width if layer == 0 else _HEAD_WIDTH, _HEAD_WIDTH) for layer in range(depth - 1)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(_HEAD_WIDTH) for _ in range(depth - 1))
        self.output = nn.Linear(_HEAD_WIDTH, phrases)

    def forward(self, vector: Tensor) -> Tensor:
        """Map (B, D) to logits (B, N)."""
        x = vector
        for linear, norm in zip(self.hidden, self.norms, strict=True):
            x = F.relu(norm(linear(x)))  # (B, 64)
        return self.linear(vector) + self.output(x)  # type: ignore[no-any-return]


class TextRepository(nn.Module):
    """The phrases' embeddings, averaged over the encoder layers kept; fixed, and not part of the state_dict.

    Args:
        banks: Embeddings of each factor, coarse to fine, each (N, K, T, D) with the same T and D.
    """

    def __init__(self, banks: Sequence[Tensor]) -> None:
        super().__init__()
        for position, bank in enumerate(banks):
            self.register_buffer(f"phrases_{position}", bank.float().mean(dim=1), persistent=False)

    def phrases(self, position: int) -> Tensor:
        """Return the embeddings (N, T, D) of the factor at `position`."""
        return self.get_buffer(f"phrases_{position}")

    def prompts(self, indices: Sequence[Tensor], *, scales: int) -> list[Tensor]:
        """Return the scale-aware prompts.

        Args:
            indices: Retrieved phrase of each factor, coarse to fine, each (B,) int64.
            scales: Number of scales, finest map first.

        Returns:
            One prompt (B, T, D) per scale: the mean of the coarsest `ceil(scale * factors / scales)` factors,
            so each of the published four scales sees one factor more than the one before.
        """
        retrieved = torch.stack(
            [self.phrases(position)[index] for position, index in enumerate(indices)]
        )  # (factors, B, T, D)
        counts = [math.ceil(scale * len(indices) / scales) for scale in range(1, scales + 1)]
        return [retrieved[:count].mean(dim=0) for count in counts]
