"""The training pass of the published CoTexNet, as a text supervisor."""

from __future__ import annotations

import torch
from torch import Tensor

from lexiseg.models.text_supervisor import TextSupervisor, TextTensors
from lexiseg.systems.cotexnet.paper_network import CoTexNet, CoTexNetOutput, CoTexNetTrainingOutput


class PaperTextSupervisor(TextSupervisor):
    """Shows the published network the region of interest and its framed sentence.

    It has no weights of its own: the published network holds all that teaches it. The region of interest is
    that of the whole foreground: the network has one condition for all classes.
    """

    def forward(
        self,
        network: CoTexNet,
        image: Tensor,
        labels: Tensor,
        text: TextTensors,
        *,
        alone: float,
        masked: Tensor | None = None,
    ) -> CoTexNetTrainingOutput:
        """Return the network's output in training; see `TextSupervisor.forward`.

        Args:
            network: The network.
            image: `(B, 3, H, W)`, normalised.
            labels: `(B, 1, H, W)` integers, 0 for the background.
            text: Token ids and attention mask of the framed sentences, `(B, T)` each.
            alone: Not used: as published, the text helps with every image to the end.
            masked: None: every image has a mask, as its region of interest is all that teaches.
        """
        assert masked is None
        return network.teach(image, region_of_interest(image, labels), *text)

    def text_embedding(
        self, network: CoTexNet, output: CoTexNetOutput, image: Tensor, labels: Tensor, text: TextTensors
    ) -> tuple[Tensor, Tensor]:
        """Return e_text `(B, D)`; there is one for every image. See `TextSupervisor.text_embedding`."""
        embedding = network.embed_text(*text, region_of_interest(image, labels))
        return embedding, torch.ones(len(image), dtype=torch.bool, device=image.device)


def region_of_interest(image: Tensor, labels: Tensor) -> Tensor:
    """Return normalised images `(B, 3, H, W)` with zeros wherever `labels (B, 1, H, W)` are 0."""
    return image * (labels > 0)
