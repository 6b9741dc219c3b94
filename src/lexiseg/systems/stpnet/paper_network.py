"""STPNet as published.

STPNet: Scale-aware Text Prompt Network for Medical Image Segmentation, IEEE TIP 2025, arXiv 2504.01561.
Text teaches the network in training. In prediction it retrieves its own text from a repository, so an image
is enough. Shape legend: B images, N phrases of a factor, K encoder layers, T text tokens, D text width; c_s
channels of scale s = 1..4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lexiseg.errors import UsageError, WeightsError
from lexiseg.systems.stpnet.paper_blocks import ConvNormAct, Fusion, PromptedDown, SpatialScaleAttention, Up
from lexiseg.systems.stpnet.paper_retrieval import Aggregator, FactorHead, ImageEncoder, TextRepository
from lexiseg.systems.stpnet.paper_transformer import GRID, Reconstruct, TokenDecoder, TokenEncoder

#: The only image size the published layout allows: its position embeddings are learned for 14 x 14 tokens of
#: 16 pixels.
IMAGE_SIZE = 224

#: Channels c_s of the four scales, finest first.
CHANNELS = (64, 128, 256, 512)

#: What the retrieval's dot products are multiplied by in training: ln(1 / 0.07), as published, and never
#: learned.
RETRIEVAL_SCALE = math.log(1 / 0.07)

# Channels of the coarse map and skip together, and out, of up_s; channels of reconstruct_s. Finest scale
# first.
_UP = ((128, 64), (256, 64), (512, 128), (1024, 256))
_RECONSTRUCT = (1, 64, 128, 256)

# Linear layers in the MLP of each published factor's head, and of any other factor's.
_HEAD_DEPTH = {"laterality": 3, "count": 2, "left": 4, "right": 4}
_OTHER_HEAD_DEPTH = 4


@dataclass(frozen=True, kw_only=True)
class FactorOutput:
    """What the network returns for one factor.

    Attributes:
        logits: Scores of the factor head, (B, N); they feed the classification loss only.
        text: Normalised text vectors t_f of the repository, (N, D).
        similarity: Dot products of the image embedding with `text`, (B, N), before `RETRIEVAL_SCALE`.
        index: Retrieved phrase, the most similar one, (B,) int64.
    """

    logits: Tensor
    text: Tensor
    similarity: Tensor
    index: Tensor


@dataclass(frozen=True, kw_only=True)
class StpNetOutput:
    """Output of `StpNet`.

    Attributes:
        logits: Raw scores of the lesion, (B, 1, 224, 224).
        image_embedding: Normalised image vector v, (B, D).
        factors: The output for each factor, coarse to fine.
        image_features: Channel means of the image encoder's two coarsest maps, (B, 1024 + 2048).
    """

    logits: Tensor
    image_embedding: Tensor
    factors: dict[str, FactorOutput]
    image_features: Tensor | None = None

    @property
    def probability(self) -> Tensor:
        """Probability of the lesion, (B, 1, 224, 224), 0..1."""
        return torch.sigmoid(self.logits)

    @property
    def retrieval(self) -> dict[str, Tensor]:
        """Retrieval logits (B, N) per factor: the similarities as the retrieval loss sees them."""
        return {name: factor.similarity * RETRIEVAL_SCALE for name, factor in self.factors.items()}


class StpNet(nn.Module):
    """The published network; module names are ours, `published_keys.py` maps them to the published ones.

    Args:
        banks: Text embeddings per factor, coarse to fine, each (N, K, T, D) floating point. Published:
            factors laterality, count, left, right; T = 30; D = 768. Other factors, T and D work alike, where
            D divides 3072 * 196.
        encoder_weights: A torchvision ResNet-101 state_dict for the image encoder; None starts it at random.

    Raises:
        WeightsError: The banks' shapes do not fit together, or `encoder_weights` is no ResNet-101.
    """

    def __init__(
        self, banks: Mapping[str, Tensor], *, encoder_weights: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        text_tokens, width = _check_banks(banks)
        self.factor_names = tuple(banks)
        self.repository = TextRepository(list(banks.values()))
        self.image_encoder = ImageEncoder(width, weights=encoder_weights)
        self.aggregator = Aggregator(width, tokens=_ENCODER_VALUES // width)
        self.head_depths = tuple(_HEAD_DEPTH.get(name, _OTHER_HEAD_DEPTH) for name in banks)
        self.heads = nn.ModuleList(
            FactorHead(width, bank.shape[0], depth=depth)
            for bank, depth in zip(banks.values(), self.head_depths, strict=True)
        )
        self.retrieval_norm = nn.LayerNorm(width)
        self.text_projections = nn.ModuleList(nn.Linear(width, channels) for channels in CHANNELS)

        self.stem = ConvNormAct(3, CHANNELS[0])
        self.token_encoders = nn.ModuleList(
            TokenEncoder(channels, patch_size=16 >> scale, text_tokens=text_tokens, has_finer=scale > 0)
            for scale, channels in enumerate(CHANNELS)
        )
        self.downs = nn.ModuleList(
            PromptedDown(channels, min(2 * channels, CHANNELS[-1])) for channels in CHANNELS
        )
        self.attentions = nn.ModuleList(SpatialScaleAttention(channels) for channels in CHANNELS[1:])

        self.token_decoders = nn.ModuleList(
            TokenDecoder(channels, has_coarser=channels < CHANNELS[-1]) for channels in CHANNELS
        )
        self.reconstructs = nn.ModuleList(
            Reconstruct(channels, out, scale=16 >> scale)
            for scale, (channels, out) in enumerate(zip(CHANNELS, _RECONSTRUCT, strict=True))
        )
        self.ups = nn.ModuleList(Up(joined, out) for joined, out in _UP)
        self.fusions = nn.ModuleList(
            Fusion(out, tokens) for (_, out), tokens in zip(_UP, _RECONSTRUCT, strict=True)
        )
        self.head = nn.Conv2d(CHANNELS[0], 1, 1)

    def forward(self, image: Tensor) -> StpNetOutput:
        """Segment images, with text the network retrieves itself.

        Args:
            image: (B, 3, 224, 224) floating point, normalised as in training. In training B is at least 2,
                for the batch normalisation of the factor heads.

        Returns:
            Scores, image embedding and the parts of every factor.

        Raises:
            UsageError: The images have another shape, or a training batch holds a single one.
        """
        self._check_image(image)
        tokens = self.image_encoder(image)  # (B, L, D)
        embedding, factors = self.match(tokens)
        logits = self.segment(image, [factor.index for factor in factors.values()])
        # The tokens are the two maps, reshaped; the inverse reshape gives their channels back.
        channels = tokens.transpose(1, 2).reshape(image.shape[0], -1, GRID * GRID)  # (B, 1024 + 2048, 196)
        return StpNetOutput(
            logits=logits,
            image_embedding=embedding,
            factors=factors,
            image_features=channels.float().mean(dim=2),
        )

    def segment(self, image: Tensor, indices: Sequence[Tensor]) -> Tensor:
        """Return the scores (B, 1, 224, 224) of images (B, 3, 224, 224) under a phrase of each factor.

        Args:
            image: The images.
            indices: Phrase of each factor, coarse to fine, each (B,) int64.
        """
        prompts = self.repository.prompts(indices, scales=len(CHANNELS))
        texts = [project(prompt) for project, prompt in zip(self.text_projections, prompts, strict=True)]
        logits: Tensor = self.head(self._decode(*self._encode(image, texts)))
        return logits

    def retrieve(self, image: Tensor) -> tuple[Tensor, dict[str, FactorOutput]]:
        """Return the image embedding (B, D) and what it retrieves per factor, for images (B, 3, 224, 224)."""
        return self.match(self.image_encoder(image))

    def match(self, tokens: Tensor) -> tuple[Tensor, dict[str, FactorOutput]]:
        """Return what `retrieve` returns, for tokens (B, L, D) of the image encoder."""
        vector = self.aggregator(tokens)  # (B, D), unit length
        embedding = self.retrieval_norm(vector)  # (B, D)
        factors = {}
        for position, (name, head) in enumerate(zip(self.factor_names, self.heads, strict=True)):
            # One LayerNorm serves both sides.
            text = self.retrieval_norm(self.repository.phrases(position).mean(dim=1))  # (N, D)
            similarity = embedding @ text.T  # (B, N)
            factors[name] = FactorOutput(
                logits=head(vector), text=text, similarity=similarity, index=similarity.argmax(dim=1)
            )
        return embedding, factors

    def _encode(self, image: Tensor, texts: list[Tensor]) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Return the CNN's maps of the four scales, its bottom (B, 512, 14, 14), and the scales' tokens."""
        x = self.stem(image)  # (B, 64, 224, 224)
        skips: list[Tensor] = []
        tokens: list[Tensor] = []
        for scale, text in enumerate(texts):  # text (B, T, c_s)
            skips.append(x)  # (B, c_s, 224 / 2^(s-1), ...)
            finer = tokens[-1] if tokens else None
            tokens.append(self.token_encoders[scale](x, text, finer))  # (B, 196, c_s)
            x = self.downs[scale](x, text)  # (B, c_(s+1), half the size)
            if scale < len(self.attentions):
                x = self.attentions[scale](x)
        return skips, x, tokens

    def _decode(self, skips: list[Tensor], x: Tensor, tokens: list[Tensor]) -> Tensor:
        """Return the finest map, (B, 64, 224, 224)."""
        coarser: Tensor | None = None
        for scale in reversed(range(len(CHANNELS))):
            coarser = self.token_decoders[scale](tokens[scale], coarser)  # (B, 196, c_s)
            x = self.ups[scale](x, skips[scale])  # (B, 256 / 128 / 64 / 64, size of scale s)
            x = self.fusions[scale](x, self.reconstructs[scale](coarser))
        return x

    def _check_image(self, image: Tensor) -> None:
        if image.ndim != 4 or tuple(image.shape[1:]) != (3, IMAGE_SIZE, IMAGE_SIZE):
            raise UsageError(
                f"The published STPNet takes images of shape (B, 3, {IMAGE_SIZE}, {IMAGE_SIZE}), but the "
                f"shape is {tuple(image.shape)}. Resize the images to {IMAGE_SIZE} x {IMAGE_SIZE}, or choose "
                "the compact preset, which takes other sizes.",
                code="LEX-USE-035",
            )
        if self.training and image.shape[0] < 2:
            raise UsageError(
                "A training batch of the published STPNet needs at least 2 images, as its heads normalise "
                "over the batch, but it holds 1. Choose a larger batch size.",
                code="LEX-USE-036",
            )


# Values of the image encoder's output per image: 1024 + 2048 channels on the 14 x 14 grid.
_ENCODER_VALUES = (1024 + 2048) * GRID * GRID


def _check_banks(banks: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return T and D, which all banks share."""
    shapes = {name: tuple(bank.shape) for name, bank in banks.items()}
    fits = (
        len(shapes) > 0
        and all(len(shape) == 4 and min(shape) > 0 for shape in shapes.values())
        and len({shape[2:] for shape in shapes.values()}) == 1
    )
    if not fits:
        raise WeightsError(
            "Expected one text bank of shape (phrases, layers, tokens, width) per factor, with the same "
            f"tokens and width throughout, but the shapes are {shapes}.",
            code="LEX-WEIGHTS-035",
        )
    text_tokens, width = next(iter(shapes.values()))[2:]
    if _ENCODER_VALUES % width or width % 2:
        raise WeightsError(
            "The published STPNet cuts its image features into tokens as wide as the text, so this width "
            f"must be even and divide {_ENCODER_VALUES}; the text bank's is {width}. Choose a text encoder "
            "384, 768 or 1024 wide.",
            code="LEX-WEIGHTS-036",
        )
    return text_tokens, width
