"""What prompts do inside a network: where a phrase acts, and the mask under another phrase.

Shape legend: B batch (1 here), C mask scores (1, or one per class), h, w = H/16, W/16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

#: A phrase of a factor: the factor's name and the phrase's index.
Phrase = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class PromptTrace:
    """What prompts do inside a network, for one image.

    Attributes:
        heat: Per factor, where its retrieved phrase acts, `(h, w)`, at least 0; empty where the network does
            not show it.
        heat_kind: What the heat is: attention of the phrase, or gradient of its score; None without heat.
        logits: Mask scores under the retrieved phrases, `(1, C, H, W)`.
        forced: Mask scores under each forced phrase, `(1, C, H, W)`; None where no prompt makes the network
            predict that phrase.
        factors_by_scale: Per scale, in the order in which the network computes them: its stride, and the
            factors whose phrases prompt it. Empty where one prompt serves all scales.
        prompted_part: Which part of the network the scales of `factors_by_scale` belong to.
    """

    heat: dict[str, Tensor]
    heat_kind: Literal["attention", "gradient"] | None
    logits: Tensor
    forced: tuple[Tensor | None, ...]
    factors_by_scale: tuple[tuple[int, tuple[str, ...]], ...]
    prompted_part: Literal["encoder", "decoder"] = "decoder"


class TracePrompts(Protocol):
    """Traces the prompts of a system's network."""

    def __call__(
        self, network: Any, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
    ) -> PromptTrace:
        """Return what prompts do inside the network.

        Args:
            network: The system's network, trained with words, in eval mode.
            image: `(1, 3, H, W)`, normalised.
            retrieved: Index of the retrieved phrase per factor.
            forced: Phrases to force, one at a time; the other factors keep their retrieved phrases.
        """


def repeated(tensors: Sequence[Tensor], times: int) -> list[Tensor]:
    """Return tensors `(1, ...)` as views `(times, ...)`."""
    return [tensor.expand(times, *tensor.shape[1:]) for tensor in tensors]
