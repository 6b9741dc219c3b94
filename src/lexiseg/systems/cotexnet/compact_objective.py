"""The losses of the compact CoTexNet: those on mask and phrases, and the distillation of text into image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lexiseg.models.losses import CompactObjective
from lexiseg.models.output import SegmentationOutput
from lexiseg.models.text_supervisor import embedding_gap
from lexiseg.systems.cotexnet.compact_text_supervisor import CompactCoTexNetTrainingOutput

_TEMPERATURE = 0.1


def distillation_loss(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Pull image embeddings to the embeddings of their texts, and away from those of other images.

    The gap `1 - cos(e_img, e_text)` is the error of the decoder's input in prediction. The mean of all texts
    already makes it small, so `KL(softmax(e_text T' / t) || softmax(e_img T' / t))` is added, where
    T are the batch's text embeddings and t = 0.1: the image must be as near to each text of the batch as its
    own text is. Images with the same sentence are not negatives of each other, unlike in a contrastive loss
    with one true partner.

    Args:
        image_embedding: `(B, E)` of unit length.
        text_embedding: `(B, E)` of unit length; no gradient flows back to it.

    Returns:
        Scalar: the mean of both terms over the batch; 0 for an empty batch.
    """
    if len(image_embedding) == 0:
        return image_embedding.sum()
    text = text_embedding.detach()
    wanted = F.log_softmax(text @ text.T / _TEMPERATURE, dim=1)  # (B, B)
    found = F.log_softmax(image_embedding @ text.T / _TEMPERATURE, dim=1)
    telling_apart = F.kl_div(found, wanted, reduction="batchmean", log_target=True)
    return embedding_gap(image_embedding, text).mean() + telling_apart


class CompactCoTexNetObjective(CompactObjective):
    """Weighted sum of mask, retrieval and distillation losses.

    Args:
        retrieval_weight: Weight of the retrieval loss against the mask losses, which each weigh 1.
        distillation_weight: Weight of the distillation.
    """

    def __init__(self, *, retrieval_weight: float, distillation_weight: float) -> None:
        super().__init__(retrieval_weight=retrieval_weight)
        self.distillation_weight = distillation_weight

    def forward(
        self,
        output: SegmentationOutput,
        labels: Tensor,
        indices: Tensor,
        masked: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the parts of the loss and their weighted sum; see `CompactObjective` for the arguments.

        The part `distillation` is absent where the network was not run by a text supervisor.
        """
        parts = super().forward(output, labels, indices, masked, inside)
        if isinstance(output, CompactCoTexNetTrainingOutput):
            total = parts.pop("total")
            with torch.autocast(labels.device.type, enabled=False):
                parts["distillation"] = distillation_loss(
                    output.image_embedding[output.told], output.text_embedding[output.told]
                )
            parts["total"] = total + self.distillation_weight * parts["distillation"]
        return parts
