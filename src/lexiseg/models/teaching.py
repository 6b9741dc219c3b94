"""What a network needs in training only: a teacher, which sees masks and words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

#: What a teacher is told about a batch; which two tensors these are is between it and its `Lessons`.
Text = tuple[Tensor, Tensor]


@runtime_checkable
class Rehearses(Protocol):
    """A network whose training pass holds more than its `forward`: it can run that pass on images alone."""

    def rehearse(self, image: Tensor) -> Any:
        """Return the network's output in training, of made-up masks and words, for images `(B, 3, H, W)`."""


class Teacher(nn.Module, ABC):
    """Runs a network's training pass. Prediction knows nothing of it, and has none of its weights."""

    @abstractmethod
    def forward(
        self,
        network: Any,
        image: Tensor,
        labels: Tensor,
        text: Text,
        *,
        alone: float,
        masked: Tensor | None = None,
    ) -> Any:
        """Return the network's output in training.

        Args:
            network: The network that is taught.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: What is said about the images.
            alone: Share of the images that are segmented as in use, without help, 0..1.
            masked: Which images have a mask, `(B,)` bool; the others are taught by their words alone and
                segmented as in use. None: all have.
        """

    @abstractmethod
    def text_embedding(
        self, network: Any, output: Any, image: Tensor, labels: Tensor, text: Text
    ) -> tuple[Tensor, Tensor]:
        """Return e_text `(B, E)` float32, and whether there is one, `(B,)` bool.

        Args:
            network: The network that is taught.
            output: What it said of the images.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: What is said about the images.
        """


@runtime_checkable
class TakesPhrases(Protocol):
    """A network that can segment under phrases it is told, in training."""

    def prompted(self, image: Tensor, indices: Tensor, told: Tensor) -> Any:
        """Return the network's output, with masks drawn under told phrases where there are some.

        Args:
            image: `(B, 3, H, W)`, normalised.
            indices: Phrases `(B, factors)` int64, `UNKNOWN` where nothing is known.
            told: Which images are told their phrases, `(B,)` bool; the others retrieve theirs, as in use.
        """


def embedding_gap(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Return the distance of image embeddings from their text's, `(B,)`: 1 - cosine similarity, 0..2."""
    return 1 - torch.cosine_similarity(image_embedding.float(), text_embedding.float(), dim=1)
