"""Masks that labellers draw: averaged over labellers and over the mirrored image.

Shape legend: B batch, C channels of scores (1 for one class, else classes with the background first), S image
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lexiseg.models.word_map_network import WordMapNetwork
from lexiseg.training.inputs.sample_cache import Pixels
from lexiseg.training.steps.normalisation import normalise
from lexiseg.words.zone_correction import Scores

#: Averaged probabilities stay this far from 0 and 1.
_LEAST = 1e-4


@dataclass(frozen=True, kw_only=True)
class LabellerMasks:
    """Draws the masks of images with one or several labellers.

    Attributes:
        networks: The labellers, in eval mode; `WordMapNetwork` where they may be told words.
        mean: Normalisation of their input.
        std: Normalisation of their input.
        mirror: Whether the mirrored image is segmented too.
        device: Where they compute.
    """

    networks: Sequence[nn.Module]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mirror: bool
    device: torch.device

    @torch.inference_mode()
    def scores(self, images: Sequence[Pixels], word_maps: Sequence[Pixels] | None) -> list[Scores]:
        """Return mask scores `(C, S, S)` float32 of each image: logits of one class, else logarithms.

        Args:
            images: `(S, S, 1 or 3)` uint8.
            word_maps: Word maps `(S, S, 3)` uint8; None: the labellers are told nothing.
        """
        pixels = torch.stack([_channels_first(image).expand(3, -1, -1) for image in images])
        seen = normalise(pixels.to(self.device), self.mean, self.std)  # (B, 3, S, S)
        told = torch.zeros_like(seen)
        if word_maps is not None:
            told = torch.stack([_channels_first(drawn) for drawn in word_maps]).to(self.device).float() / 255
        views = [(seen, told, False)]
        if self.mirror:
            views.append((seen.flip(-1), told.flip(-1), True))
        total = torch.stack(
            [
                self._probability(network, image, drawn).flip(-1)
                if mirrored
                else self._probability(network, image, drawn)
                for network in self.networks
                for image, drawn, mirrored in views
            ]
        ).mean(dim=0)  # (B, C, S, S)
        mean = total.clamp(_LEAST, 1 - _LEAST)
        scores = mean.logit() if mean.shape[1] == 1 else mean.log()
        return list(scores.cpu().numpy())

    @staticmethod
    def _probability(network: nn.Module, image: Tensor, word_map: Tensor) -> Tensor:
        output = network(image, word_map) if isinstance(network, WordMapNetwork) else network(image)
        logits: Tensor = output.logits.float()
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def probability_of(scores: Scores) -> Scores:
    """Return the probabilities `(K, S, S)` of the foreground classes for scores `(C, S, S)`."""
    if len(scores) == 1:
        return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)
    raised = np.exp(scores - scores.max(axis=0, keepdims=True))
    return np.asarray((raised / raised.sum(axis=0, keepdims=True))[1:], dtype=np.float32)


def shift_foreground(scores: Scores, shift: float) -> Scores:
    """Return scores `(C, S, S)` with a number added to those of the foreground classes."""
    if len(scores) == 1:
        return scores + np.float32(shift)
    changed = scores.copy()
    changed[1:] += np.float32(shift)
    return changed


def fit_shift(scores: Sequence[Scores], covered: float) -> float:
    """Return the shift with which masks cover as much as true ones.

    Args:
        scores: Scores `(C, S, S)` per image.
        covered: Share of the pixels that the true masks cover, all images together, 0..1.

    Returns:
        The number for `shift_foreground` at which the mean probability of all classes together is `covered`,
        within -4..4, to 0.01.
    """
    low, high = -4.0, 4.0
    while high - low > 0.01:
        middle = (low + high) / 2
        mean = np.mean([probability_of(shift_foreground(s, middle)).sum(axis=0).mean() for s in scores])
        low, high = (middle, high) if mean < covered else (low, middle)
    return round((low + high) / 2, 2)


def _channels_first(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
