"""Compact CoTexNet: one pretrained encoder whose image embedding takes the place of a text embedding.

The ideas are those of CoTexNet (Engineering 2026, doi 10.1016/j.eng.2026.04.006). In training, the lesion
gives a text embedding, which is distilled into an embedding of the image; in prediction, the image embedding
prompts the decoder. docs/cotexnet.md lists the differences from the published network. The text
supervisor is in `compact_text_supervisor.py` and only training uses it.

Shape legend: B batch, H, W image size, T = H/16 * W/16 image tokens, D width, Q queries, N phrases of all
factors together, N_f phrases of factor f, E width of the text bank and of all embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lexiseg.models.pyramid import PyramidDecoder, PyramidLevels, image_features
from lexiseg.models.text_bank import TextBank
from lexiseg.models.tokens import TokenReader, as_map

_QUERIES = 4


@dataclass(frozen=True, kw_only=True)
class CompactCoTexNetOutput:
    """What the compact network returns.

    Attributes:
        logits: Mask scores `(B, 1, H, W)` (binary) or `(B, classes, H, W)` with the background first.
        retrieval: Per factor, scores `(B, N_f)` of its phrases.
        image_embedding: e_img `(B, E)` float32, of unit length.
        tokens: What e_img was gathered from, `(B, T, D)`.
        image_features: Of the encoder, see `HasImageFeatures`; None in training passes.
    """

    logits: Tensor
    retrieval: dict[str, Tensor]
    image_embedding: Tensor
    tokens: Tensor
    image_features: Tensor | None = None


class ImageEmbedding(TokenReader):
    """The image's embedding e_img: learned queries gather tokens, and an MLP maps them to text embeddings.

    The published network takes the class token of a frozen vision transformer. A convolutional encoder has
    none, so Q learned queries look at its tokens, each where it has learned to.

    Args:
        levels: Which of the encoder's features to use.
        width: Width D of the tokens.
        embedding: Width E of the embedding.
    """

    def __init__(self, levels: PyramidLevels, *, width: int, embedding: int) -> None:
        super().__init__(levels, width=width)
        self.queries = nn.Parameter(torch.zeros(_QUERIES, width))
        nn.init.trunc_normal_(self.queries, std=1.0)
        self.key_value = nn.Linear(width, 2 * width)
        self.place = nn.Sequential(
            nn.LayerNorm(_QUERIES * width),
            nn.Linear(_QUERIES * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, embedding),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return e_img `(B, E)` float32 of unit length for tokens `(B, T, D)`."""
        key, value = self.key_value(tokens).chunk(2, dim=-1)  # (B, T, D) each
        scores = torch.einsum("qd,btd->bqt", self.queries, key) / math.sqrt(key.shape[-1])
        weights = scores.float().softmax(dim=-1)  # (B, Q, T)
        gathered = rearrange(weights.to(value.dtype) @ value, "b q d -> b (q d)")
        return F.normalize(self.place(gathered).float(), dim=-1)


class PhraseReading(nn.Module):
    """Read words off an embedding: cosine similarity with every phrase of the bank, both projected to D.

    An index is only ever a position in the list of phrases; the network has one weight per phrase, a bias.

    Args:
        bank: The phrases.
        width: Width D in which they are compared.
    """

    text: Tensor

    def __init__(self, bank: TextBank, *, width: int) -> None:
        super().__init__()
        self.sizes = {name: len(phrases) for name, phrases in bank.phrases.items()}
        pooled = bank.pooled()  # (N, E)
        self.register_buffer("text", F.layer_norm(pooled, pooled.shape[-1:]))
        self.image_side = nn.Sequential(
            nn.Linear(bank.width, 2 * width), nn.GELU(), nn.Linear(2 * width, len(self.sizes) * width)
        )
        self.text_side = nn.Linear(bank.width, width)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # cosine similarities start at temperature 1 / 10
        self.bias = nn.Parameter(torch.zeros(len(pooled)))

    def forward(self, embedding: Tensor) -> dict[str, Tensor]:
        """Return scores `(B, N_f)` per factor for embeddings `(B, E)` of unit length."""
        # One view of the embedding per factor: a count and a place are different questions to it.
        views = rearrange(self.image_side(unit_variance(embedding)), "b (f d) -> f b d", f=len(self.sizes))
        views = F.normalize(views.float(), dim=-1)  # (factors, B, D)
        phrases = F.normalize(self.text_side(self.text).float(), dim=-1)  # (N, D)
        sizes = list(self.sizes.values())
        parts = zip(views, torch.split(phrases, sizes), torch.split(self.bias, sizes), strict=True)
        scores = [self.log_scale.exp() * (view @ text.T) + bias for view, text, bias in parts]
        return dict(zip(self.sizes, scores, strict=True))


class CompactCoTexNet(nn.Module):
    """Compact CoTexNet: the parts that prediction needs.

    Without text the system is `lexiseg.models.plain_network.PlainNetwork`.

    Args:
        encoder: timm `features_only` encoder.
        bank: Phrases and their embeddings.
        levels: Which of the encoder's features to use.
        out_channels: 1 for a binary mask, else one per class with the background.
        width: Width D of tokens and prompts.
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
        #: Whether words are read off the embedding without shaping it: for trainings that words do not teach.
        self.words_only_read = False
        self.embedding = ImageEmbedding(levels, width=width, embedding=bank.width)
        self.phrases = PhraseReading(bank, width=width)
        self.prompt = nn.Sequential(nn.Linear(bank.width, width), nn.GELU(), nn.Linear(width, width))
        self.decoder = PyramidDecoder(
            levels, out_channels=out_channels, prompt_width=width, guide_channels=width
        )

    def forward(self, image: Tensor, inside: Tensor | None = None) -> CompactCoTexNetOutput:
        """Segment `image (B, 3, H, W)`, normalised as the encoder expects, H and W multiples of 32.

        `inside (B, 1, H, W)` says where it shows the image; None: everywhere.
        """
        pyramid = self.levels.choose(self.encoder(image))
        tokens, embedding = self.embed(pyramid)
        return CompactCoTexNetOutput(
            logits=self.segment(pyramid, tokens, embedding),
            retrieval=self.words(embedding),
            image_embedding=embedding,
            tokens=tokens,
            image_features=image_features(pyramid, inside),
        )

    def embed(self, pyramid: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return tokens `(B, T, D)` and e_img `(B, E)` of the encoder's features."""
        tokens = self.embedding.read(pyramid[-2], pyramid[-1])
        embedding: Tensor = self.embedding(tokens)
        return tokens, embedding

    def segment(self, pyramid: Sequence[Tensor], tokens: Tensor, condition: Tensor) -> Tensor:
        """Return mask logits `(B, out_channels, H, W)` under a condition `(B, E)` of unit length.

        One prompt serves all scales; each scale scales and shifts its features by it in its own way. The
        tokens `(B, T, D)` join the first stage.
        """
        prompt: Tensor = self.prompt(unit_variance(condition))  # (B, D)
        prompts = [prompt] * len(self.decoder.stages)
        logits: Tensor = self.decoder(pyramid, prompts, as_map(tokens, pyramid[-2]))
        return logits

    def words(self, embedding: Tensor) -> dict[str, Tensor]:
        """Return scores `(B, N_f)` of the phrases per factor, read off embeddings `(B, E)`."""
        scores: dict[str, Tensor] = self.phrases(embedding.detach() if self.words_only_read else embedding)
        return scores


def unit_variance(embedding: Tensor) -> Tensor:
    """Scale vectors `(B, E)` of unit length so that their entries have mean square 1, as layers expect."""
    return embedding * math.sqrt(embedding.shape[-1])
