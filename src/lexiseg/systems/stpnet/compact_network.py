"""Compact STPNet: one pretrained encoder for segmentation and retrieval, scale-aware prompts in the decoder.

The ideas are those of STPNet (Shan et al., IEEE TIP 2025): the network retrieves its own phrases from a text
bank and is prompted by them, coarse words first. docs/stpnet.md lists the differences from the published
network and their reasons.

Shape legend: B batch, H, W image size, T = H/16 * W/16 image tokens, D width, N phrases of all factors
together, N_f phrases of factor f, E width of the text bank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lexiseg.models.pyramid import PyramidDecoder, PyramidLevels, image_features
from lexiseg.models.text_bank import TextBank
from lexiseg.models.tokens import TokenReader, as_map


@dataclass(frozen=True, kw_only=True)
class CompactStpNetOutput:
    """What the compact network returns.

    Attributes:
        logits: Mask scores `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        retrieval: Per factor, scores `(B, N_f)` of its phrases.
        attention: Where each phrase looked, `(B, N, H/16, W/16)`, each map sums to 1.
        image_features: Of the encoder, see `HasImageFeatures`; None in training passes.
    """

    logits: Tensor
    retrieval: dict[str, Tensor]
    attention: Tensor
    image_features: Tensor | None = None


class PhraseRetrieval(TokenReader):
    """Score every phrase of the bank against the image.

    Each phrase's embedding is the query of a cross-attention over the image tokens; what it gathers is
    compared with the phrase by cosine similarity. So each phrase ("lower left lung") looks where its
    embedding points, and no weight belongs to a class: an index is a position in the list of phrases.
    """

    text: Tensor

    def __init__(self, bank: TextBank, *, levels: PyramidLevels, width: int) -> None:
        super().__init__(levels, width=width)
        self.sizes = {name: len(phrases) for name, phrases in bank.phrases.items()}
        pooled = bank.pooled()  # (N, E)
        self.register_buffer("text", F.layer_norm(pooled, pooled.shape[-1:]))
        self.query = nn.Linear(pooled.shape[-1], width)
        self.key_value = nn.Linear(width, 2 * width)
        self.image_side = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.text_side = nn.Linear(pooled.shape[-1], width)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # cosine similarities start at temperature 1 / 10
        self.bias = nn.Parameter(torch.zeros(len(pooled)))

    def forward(self, grid: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Score all phrases.

        Args:
            grid: Tokens `(B, D, H/16, W/16)`, made by `read` and laid out as a map.

        Returns:
            Scores `(B, N_f)` per factor, and attention maps `(B, N, H/16, W/16)`.
        """
        tokens_btd = rearrange(grid, "b d h w -> b (h w) d")
        query = rearrange(self.query(self.text), "n (g d) -> g n d", g=self.heads)
        key, value = rearrange(
            self.key_value(tokens_btd), "b t (two g d) -> two b g t d", two=2, g=self.heads
        )
        scores = torch.einsum("gnd,bgtd->bgnt", query, key) / query.shape[-1] ** 0.5
        weights = scores.float().softmax(dim=-1)  # (B, heads, N, T)
        gathered = rearrange(weights.to(value.dtype) @ value, "b g n d -> b n (g d)")  # (B, N, D)
        image_bnd = F.normalize(self.image_side(gathered).float(), dim=-1)
        text_nd = F.normalize(self.text_side(self.text).float(), dim=-1)
        similarity = torch.einsum("bnd,nd->bn", image_bnd, text_nd)
        logits_bn = self.log_scale.exp() * similarity + self.bias
        attention = rearrange(weights.mean(dim=1), "b n (h w) -> b n h w", h=grid.shape[-2])
        per_factor = torch.split(logits_bn, list(self.sizes.values()), dim=1)
        return dict(zip(self.sizes, per_factor, strict=True)), attention


class CompactStpNet(nn.Module):
    """Compact STPNet.

    The tokens that the phrases are scored on also join the decoder's first stage. So what the attention layer
    gathers from both lungs serves the mask too, and the mask teaches the tokens where lesions are. Without
    text the system is `lexiseg.models.plain_network.PlainNetwork`.

    Args:
        encoder: timm `features_only` encoder.
        bank: Phrases and their embeddings.
        levels: Which of the encoder's features to use.
        out_channels: 1 for a binary mask, else one per class with the background.
        width: Width D of retrieval and prompts.
    """

    def __init__(
        self,
        encoder: nn.Module,
        bank: TextBank,
        *,
        levels: PyramidLevels,
        out_channels: int,
        width: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.levels = levels
        self.retrieval = PhraseRetrieval(bank, levels=levels, width=width)
        self.prompt = nn.Sequential(nn.Linear(bank.width, width), nn.GELU(), nn.Linear(width, width))
        self.decoder = PyramidDecoder(
            levels,
            out_channels=out_channels,
            prompt_width=width,
            guide_channels=width + len(bank.phrases),
        )

    def forward(self, image: Tensor, inside: Tensor | None = None) -> CompactStpNetOutput:
        """Segment `image (B, 3, H, W)`, normalised as the encoder expects, H and W multiples of 32.

        `inside (B, 1, H, W)` says where it shows the image; None: everywhere.
        """
        pyramid = self.levels.choose(self.encoder(image))
        grid = as_map(self.retrieval.read(pyramid[-2], pyramid[-1]), pyramid[-2])  # (B, D, H/16, W/16)
        scores, attention = self.retrieval(grid)
        probability = {name: score.softmax(dim=-1) for name, score in scores.items()}
        logits = self.decode(pyramid, probability, attention, grid)
        return CompactStpNetOutput(
            logits=logits,
            retrieval=scores,
            attention=attention,
            image_features=image_features(pyramid, inside),
        )

    def decode(
        self,
        pyramid: Sequence[Tensor],
        probability: Mapping[str, Tensor],
        attention: Tensor,
        grid: Tensor,
    ) -> Tensor:
        """Decode under given phrase probabilities; `forward` passes the retrieved ones.

        Args:
            pyramid: The encoder's features.
            probability: Per factor, weights `(B, N_f)` of its phrases that sum to 1.
            attention: Where each phrase looks, `(B, N, H/16, W/16)`.
            grid: Tokens `(B, D, H/16, W/16)`.

        Returns:
            Mask logits `(B, out_channels, H, W)`.
        """
        factors = list(self.retrieval.sizes)
        sizes = list(self.retrieval.sizes.values())
        texts = torch.split(self.retrieval.text, sizes)  # each (N_f, E)
        phrases = [probability[name] @ text for name, text in zip(factors, texts, strict=True)]  # each (B, E)
        scales = len(self.decoder.stages)
        prompts = [
            self.prompt(torch.stack(phrases[: factors_of_scale(scale, len(factors), scales)]).mean(dim=0))
            for scale in range(scales)
        ]
        maps = torch.split(attention, sizes, dim=1)
        guide = torch.stack(
            [
                torch.einsum("bn,bnhw->bhw", probability[name], where)
                for name, where in zip(factors, maps, strict=True)
            ],
            dim=1,
        )  # (B, factors, H/16, W/16): where the retrieved phrase of each factor looks
        places = guide.shape[-2] * guide.shape[-1]  # times T: the mean is 1 at every image size
        logits: Tensor = self.decoder(pyramid, prompts, torch.cat([grid, guide * places], dim=1))
        return logits


def factors_of_scale(scale: int, factors: int, scales: int) -> int:
    """Return how many factors prompt a decoder scale: the coarse ones first, all of them at the finest.

    Args:
        scale: 0 (coarsest) to `scales` - 1 (finest).
        factors: Factors in all, ordered coarse to fine.
        scales: Decoder scales in all.
    """
    return -(-factors * (scale + 1) // scales)
