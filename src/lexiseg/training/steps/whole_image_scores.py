"""Validation of a network that sees images in tiles: each case is segmented as in prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lexiseg.engines.engine import EngineOutput, FloatArray
from lexiseg.inference.whole_images import WholeImages


class TiledValidation:
    """Segments whole images with a network.

    Args:
        whole_images: How the network answers for them.
        network: The network, in eval mode.
        device: Where it computes.
    """

    def __init__(self, whole_images: WholeImages, network: nn.Module, device: torch.device) -> None:
        self._whole_images = whole_images
        self._network = network
        self._device = device

    def outputs(self, images: Sequence[Tensor]) -> list[EngineOutput]:
        """Return the answer for each image: scores `(1, C, H, W)` and words `(1, N_f)`.

        Args:
            images: `(1 or 3, H, W)` uint8 each.
        """
        pixels = [
            np.ascontiguousarray(image.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()) for image in images
        ]
        return self._whole_images.outputs(self._whole_images.pictures(pixels), self._compute)

    def _compute(self, images: FloatArray, inside: FloatArray | None) -> EngineOutput:
        output = self._network(torch.from_numpy(images).to(self._device))
        return EngineOutput(
            logits=output.logits.float().cpu().numpy(),
            words=tuple(score.float().softmax(dim=1).cpu().numpy() for score in output.retrieval.values()),
        )
