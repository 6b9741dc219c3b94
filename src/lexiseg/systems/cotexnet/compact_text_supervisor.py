"""The text supervisor of the compact CoTexNet: an embedding of a description's sentence and a pseudo-word.

Shape legend: B batch, H, W image size, T = H/16 * W/16 image tokens, D width of a token, K foreground
classes, E width of all embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.models.text_supervisor import TextSupervisor, TextTensors
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNet, CompactCoTexNetOutput

#: What the text embedding is made of.
Parts = Literal["both", "sentence", "pseudo_word"]

_NOISE_SHARE = 0.2  # where a starts, as published


@dataclass(frozen=True, kw_only=True)
class CompactCoTexNetTrainingOutput(CompactCoTexNetOutput):
    """What the compact network returns in training, with a text supervisor.

    Attributes:
        text_embedding: e_text `(B, E)` float32 of unit length, detached; 0 where there is none.
        told: Whether there is one, `(B,)` bool.
    """

    text_embedding: Tensor
    told: Tensor


class CompactTextSupervisor(TextSupervisor):
    """Makes e_text of sentence and region of interest, and prompts the decoder with it in training.

    **e_text** = unit(s + w): s is the frozen sentence embedding, less the mean of the training sentences, of
    unit length; w is the pseudo-word, of unit length. The sentence is fixed, so training cannot move image
    and text embeddings to one point together. The mean is subtracted because all sentences of a closed
    vocabulary have nearly the same direction, and their differences are small.

    **Pseudo-word.** The published network reads the region of interest with a second pass of its frozen
    vision tower, which doubles the cost. Here the image tokens, which the network has made anyway, are
    averaged where the mask is; with the region's share of the image they pass a small MLP. The tokens also
    see what is around the region, unlike the tower, which sees zeros outside. They are detached: the gradient
    of the pseudo-word does not reach the encoder, as the published tower is frozen. There is one region per
    class; their averages are concatenated and make one word, as the decoder has one condition for all
    classes. The sentence describes the whole foreground.

    **Condition** = unit((1 - a) e_text + a e_img), a learned (self-adding noise; a sigmoid keeps it in 0..1),
    for a part of the images; for the others e_img alone, as in prediction. The mask's loss is smallest at
    a = 0, where e_img has no effect, so the decoder would not learn to use e_img. That part therefore falls
    from all to none of the images over the training. Gradients: distillation moves the image side only, as
    published; the mask's loss moves the pseudo-word and e_img.

    Args:
        parts: "both", "sentence" or "pseudo_word": what e_text is made of.
        width: Width D of the network's tokens.
        classes: Number K of foreground classes.
        centre: Mean of the training sentences' embeddings, `(E,)`.
    """

    centre: Tensor

    def __init__(self, *, parts: Parts, width: int, classes: int, centre: Tensor) -> None:
        super().__init__()
        self.classes = classes
        self.reads_sentence = parts != "pseudo_word"
        self.register_buffer("centre", centre)
        self.pseudo_word = None
        if parts != "sentence":
            self.pseudo_word = nn.Sequential(
                nn.Linear(classes * (width + 1), 2 * width), nn.GELU(), nn.Linear(2 * width, len(centre))
            )
        self.noise = nn.Parameter(torch.logit(torch.tensor(_NOISE_SHARE)))

    def forward(
        self,
        network: CompactCoTexNet,
        image: Tensor,
        labels: Tensor,
        text: TextTensors,
        *,
        alone: float,
        masked: Tensor | None = None,
    ) -> CompactCoTexNetTrainingOutput:
        """Return the network's output in training; see `TextSupervisor.forward`.

        Args:
            network: The network.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: Sentence embeddings `(B, E)`, and whether there is a sentence, `(B,)` bool.
            alone: Share of the images that are prompted by e_img alone, 0..1.
            masked: Which images have a mask, `(B,)` bool; the others have no region of interest: their e_text
                is that of the sentence, and e_img alone prompts. None: all have.
        """
        pyramid = network.levels.choose(network.encoder(image))
        tokens, e_img = network.embed(pyramid)  # (B, T, D), (B, E)
        shown = torch.ones_like(text[1]) if masked is None else masked
        e_text, told = self._embed_text(tokens, labels, text, shown)  # (B, E), (B,)
        share = self.noise.sigmoid()
        mixed = F.normalize((1 - share) * e_text + share * e_img, dim=-1)
        helped = told & shown & (torch.rand(len(image), device=image.device) >= alone)
        condition = torch.where(helped[:, None], mixed, e_img)
        return CompactCoTexNetTrainingOutput(
            logits=network.segment(pyramid, tokens, condition),
            retrieval=network.words(e_img),
            image_embedding=e_img,
            tokens=tokens,
            text_embedding=e_text.detach(),
            told=told,
        )

    def text_embedding(
        self,
        network: CompactCoTexNet,
        output: CompactCoTexNetOutput,
        image: Tensor,
        labels: Tensor,
        text: TextTensors,
    ) -> tuple[Tensor, Tensor]:
        """Return e_text `(B, E)`, and whether there is one, `(B,)` bool; see `TextSupervisor`."""
        return self._embed_text(output.tokens, labels, text, torch.ones_like(text[1]))

    def _embed_text(
        self, tokens: Tensor, labels: Tensor, text: TextTensors, masked: Tensor
    ) -> tuple[Tensor, Tensor]:
        sentences, spoken = text  # (B, E), (B,)
        e_text = torch.zeros_like(sentences)
        told = torch.zeros_like(spoken)
        if self.reads_sentence:
            e_text = F.normalize(sentences - self.centre, dim=-1) * spoken[:, None]
            told = spoken
        if self.pseudo_word is not None:
            regions = region_features(tokens.detach(), labels, classes=self.classes)  # (B, K * (D + 1))
            word = F.normalize(self.pseudo_word(regions).float(), dim=-1)
            e_text = e_text + word * masked[:, None]
            told = told | masked  # a mask without lesion gives a word too: that of "none"
        return F.normalize(e_text, dim=-1), told


def region_features(tokens: Tensor, labels: Tensor, *, classes: int) -> Tensor:
    """Average image tokens over each class's region of interest.

    Args:
        tokens: `(B, T, D)`, row by row of the grid of stride 16.
        labels: `(B, 1, H, W)` integers, 0 for the background.
        classes: Number K of foreground classes; 1 takes every label above 0 as lesion.

    Returns:
        `(B, K * (D + 1))` float32: per class the average, and the region's share of the image; both 0 where
        the class is not in the image.
    """
    kinds = torch.arange(1, classes + 1, device=labels.device).view(1, -1, 1, 1)
    regions = (labels > 0) if classes == 1 else (labels == kinds)  # (B, K, H, W)
    size = (labels.shape[-2] // 16, labels.shape[-1] // 16)
    weights = F.adaptive_avg_pool2d(regions.float(), size).flatten(2)  # (B, K, T): covered part of a cell
    total = weights.sum(dim=2, keepdim=True)  # (B, K, 1)
    average = weights @ tokens.float() / total.clamp(min=1e-6)  # (B, K, D)
    return torch.cat([average, total / weights.shape[2]], dim=2).flatten(1)
