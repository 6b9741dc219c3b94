"""What images without mask teach in a step: agreement with their words, and pseudo labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.models.agreement_loss import AgreementLoss
from lexiseg.models.losses import pseudo_label_loss
from lexiseg.models.teacher import TakesPhrases
from lexiseg.systems.compact_configuration import UnmaskedConfig
from lexiseg.training.examples import Words
from lexiseg.training.pseudo_labels import PseudoLabels, checked_by_words, confident_labels

_MAX_GAMMA, _MAX_CONTRAST, _BLUR_SHARE = 1.7, 0.4, 0.5


class UnmaskedTeaching:
    """Losses of the images without mask.

    Args:
        config: The configuration.
        words: Words of the training images; None where images without mask teach without words.

    Attributes:
        agreement: The agreement loss; None without words.
    """

    def __init__(self, config: UnmaskedConfig, words: Words | None) -> None:
        self._config = config
        self._words = words
        self.agreement = None if words is None else AgreementLoss(words.vocabulary, side=words.side)

    @property
    def not_measured(self) -> tuple[str, ...]:
        """Titles of the factors that the agreement loss leaves out, as it cannot measure them."""
        used = self.agreement is not None and self._config.agreement_weight > 0
        return tuple(self.agreement.skipped) if used and self.agreement is not None else ()

    def prompts(self, masked: Tensor) -> Tensor | None:
        """Return which images are decoded under their true phrases, `(B,)` bool; None if none ever is.

        Only images with mask are: the others are to be segmented as in use.

        Args:
            masked: Which images have a mask, `(B,)` bool.
        """
        if self._words is None:
            return None
        # Drawn for every system, so that the numbers drawn after it are the same for all.
        drawn = torch.rand(len(masked), device=masked.device)
        share = self._config.prompted_share
        return masked & (drawn < share) if share > 0 else None

    def targets(
        self, network: nn.Module, image: Tensor, indices: Tensor, share: float
    ) -> PseudoLabels | None:
        """Return pseudo labels; None while they have no weight.

        Args:
            network: The averaged network.
            image: Images without mask, `(B, 3, H, W)`, normalised, without the changes of `stronger`.
            indices: Their phrases `(B, factors)`.
            share: Share of the training that is done.
        """
        if self._config.pseudo_weight == 0 or self.pseudo_ramp(share) == 0:
            return None
        network.eval()
        with torch.no_grad():
            prompted = self._words is not None and self._config.prompted_share > 0
            if prompted and isinstance(network, TakesPhrases):
                everyone = torch.ones(len(image), dtype=torch.bool, device=image.device)
                logits = network.prompted(image, indices, everyone).logits
            else:
                logits = network(image).logits
            pseudo = confident_labels(logits, confidence=self._config.pseudo_confidence)
            if self._words is None or not self._config.check_words:
                return pseudo
            return checked_by_words(pseudo, indices, self._words.vocabulary, side=self._words.side)

    def losses(
        self, logits: Tensor, indices: Tensor, targets: PseudoLabels | None, share: float
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the parts of the loss, and their weighted sum.

        Args:
            logits: Mask scores of the images without mask, `(B, 1 or classes, H, W)`.
            indices: Their phrases `(B, factors)`.
            targets: Their pseudo labels.
            share: Share of the training that is done.

        Returns:
            Scalars `agreement` (with words), `pseudo` and `accepted` (the pseudo labels' mean weight; both
            absent while there are none), and the sum to be added to the other losses.
        """
        parts: dict[str, Tensor] = {}
        total = torch.zeros((), device=logits.device)
        if self.agreement is not None and self._config.agreement_weight > 0:
            parts["agreement"] = self.agreement(logits, indices)
            total = total + self._config.agreement_weight * self.agreement_ramp(share) * parts["agreement"]
        if targets is not None:
            parts["pseudo"] = pseudo_label_loss(
                logits, targets.labels, certain=targets.certain, weight=targets.weight
            )
            parts["accepted"] = targets.weight.mean()
            total = total + self._config.pseudo_weight * self.pseudo_ramp(share) * parts["pseudo"]
        return parts, total

    def agreement_ramp(self, share: float) -> float:
        """Return the agreement loss's share of its weight: it rises over the warm-up."""
        warmup = self._config.unmasked_warmup
        return min(1.0, share / warmup) if warmup > 0 else 1.0

    def pseudo_ramp(self, share: float) -> float:
        """Return the pseudo labels' share of their weight: 0 in the warm-up, then rising as long again."""
        warmup = self._config.unmasked_warmup
        return min(1.0, max(0.0, share / warmup - 1)) if warmup > 0 else 1.0


def stronger(image: Tensor) -> Tensor:
    """Change gamma, contrast and sharpness of images, more than the data's own random changes do.

    The averaged network sees the images without these changes; its masks are the targets for the changed
    images.

    Args:
        image: `(B, 3, H, W)` in 0..255.

    Returns:
        The same shape and range, float32.
    """
    shape = (len(image), 1, 1, 1)

    def drawn() -> Tensor:
        return 2 * torch.rand(shape, device=image.device) - 1

    levels = (image.float() / 255).clamp(0, 1) ** (_MAX_GAMMA ** drawn())
    levels = ((levels - 0.5) * (1 + _MAX_CONTRAST * drawn()) + 0.5).clamp(0, 1)
    blurred = F.avg_pool2d(levels, 5, stride=1, padding=2, count_include_pad=False)
    chosen = torch.rand(shape, device=image.device) < _BLUR_SHARE
    return 255 * torch.where(chosen, blurred, levels)
