"""What a network needs in training only: a text supervisor, which sees masks and words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

#: The text of a batch as its text supervisor reads it; each text supervisor defines these two tensors.
TextTensors = tuple[Tensor, Tensor]


class TextInputs(Protocol):
    """Turns phrase indices into the text that a text supervisor reads."""

    def __call__(self, indices: Tensor) -> TextTensors:
        """Return two tensors for indices `(B, factors)` int64, on the same device."""


@runtime_checkable
class HasTrainingPass(Protocol):
    """A network whose training pass needs more memory than its `forward`."""

    def training_pass(self, image: Tensor) -> Any:
        """Return the network's output in training, with placeholder masks and words.

        Args:
            image: `(B, 3, H, W)`.
        """


class TextSupervisor(nn.Module, ABC):
    """Runs a network's training pass. Prediction does not use it, and no weights file holds it."""

    @abstractmethod
    def forward(
        self,
        network: Any,
        image: Tensor,
        labels: Tensor,
        text: TextTensors,
        *,
        alone: float,
        masked: Tensor | None = None,
    ) -> Any:
        """Return the network's output in training.

        Args:
            network: The network that is taught.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: The text of the images.
            alone: Share of the images that are segmented as in prediction, without the text's help, 0..1.
            masked: Which images have a mask, `(B,)` bool; the others are taught by their words alone and
                segmented as in prediction. None: all have.
        """

    @abstractmethod
    def text_embedding(
        self, network: Any, output: Any, image: Tensor, labels: Tensor, text: TextTensors
    ) -> tuple[Tensor, Tensor]:
        """Return e_text `(B, E)` float32, and whether there is one, `(B,)` bool.

        Args:
            network: The network that is taught.
            output: The network's output for the images.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: The text of the images.
        """


def embedding_gap(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Return the distance of image embeddings from their text's, `(B,)`: 1 - cosine similarity, 0..2."""
    return 1 - torch.cosine_similarity(image_embedding.float(), text_embedding.float(), dim=1)
