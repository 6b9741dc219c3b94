"""Training of a labeller: a network that takes the words of most of its images as word maps."""

from __future__ import annotations

import torch
from torch import Tensor

from lexiseg.models.word_map_network import WordMapNetwork
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.steps.normalisation import normalise
from lexiseg.training.steps.segmentation_module import SegmentationModule

#: Share of the images that are told their words; the others are segmented from their pixels alone.
TOLD_SHARE = 0.75


class WordMapLabellerModule(SegmentationModule):
    """Trains a `WordMapNetwork`. Every image has a mask; its `picture` is its word map."""

    def loss_parts(self, batch: Batch) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch, and `total`.

        Args:
            batch: The batch; its pictures are the word maps.
        """
        assert batch.picture is not None
        assert isinstance(self.network, WordMapNetwork)
        seen = normalise(batch.image, self.mean, self.std)
        told = torch.rand(len(seen), device=seen.device) < TOLD_SHARE
        word_map = batch.picture.float() / 255 * told[:, None, None, None]
        output = self.network(seen, word_map)
        parts: dict[str, Tensor] = self.objective(output, batch.labels, batch.indices)
        return parts
