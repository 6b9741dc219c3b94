"""What prompts do inside the compact CoTexNet.

Shape legend: K forced phrases, D width, E width of the text bank, h, w = H/16, W/16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexiseg.models.prompt_trace import Phrase, PromptTrace, repeated
from lexiseg.models.tokens import as_map
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNet

# Steps on the unit sphere from the image's embedding to one that gives the forced phrase, and their length;
# together they reach half way round the sphere.
_STEPS = 60
_STEP = 0.05
# An embedding gives a phrase if the phrase's probability is at least this.
_PREDICTED = 0.5


def trace_prompts(
    network: CompactCoTexNet, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> PromptTrace:
    """Return the gradient of each retrieved phrase, and the masks under forced phrases.

    Heat is gradient times token (as in Grad-CAM, Selvaraju et al. 2017). The decoder is prompted by e_img
    alone. To force a phrase, we move the embedding along the gradient on the unit sphere until the network
    predicts that phrase, and still predicts the retrieved phrases of the other factors.

    The arguments are those of `lexiseg.models.prompt_trace.TracePrompts`.
    """
    with torch.no_grad():
        pyramid = network.levels.choose(network.encoder(image))
        tokens = network.embedding.read(pyramid[-2], pyramid[-1])  # (1, h * w, D)
    heat = {}
    with torch.enable_grad():
        leaf = tokens.detach().clone().requires_grad_()
        embedding: Tensor = network.embedding(leaf)
        words: dict[str, Tensor] = network.phrases(embedding)
        for name, index in retrieved.items():
            (slope,) = torch.autograd.grad(words[name].log_softmax(dim=-1)[0, index], leaf, retain_graph=True)
            heat[name] = as_map((slope * leaf.detach()).sum(dim=-1, keepdim=True), pyramid[-2])[0, 0].relu()
    own = embedding.detach()
    moved, predicted = _moved_embeddings(network, own, retrieved, forced)
    with torch.no_grad():
        conditions = torch.cat([own, moved])
        (all_tokens,) = repeated([tokens], len(conditions))
        logits = network.segment(repeated(pyramid, len(conditions)), all_tokens, conditions)
    return PromptTrace(
        heat=heat,
        heat_kind="gradient",
        logits=logits[:1],
        forced=tuple(
            logits[row : row + 1] if reached else None for row, reached in enumerate(predicted, start=1)
        ),
        factors_by_scale=(),
    )  # fmt: skip


def _moved_embeddings(
    network: CompactCoTexNet, embedding: Tensor, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> tuple[Tensor, list[bool]]:
    """Return one embedding `(K, E)` of unit length per forced phrase, and whether it gives the phrase."""
    moved = embedding.repeat(len(forced), 1)
    if not forced:
        return moved, []
    targets = {name: torch.full((len(forced),), index) for name, index in retrieved.items()}
    for row, (name, index) in enumerate(forced):
        targets[name][row] = index
    with torch.enable_grad():
        for _ in range(_STEPS):
            leaf = moved.detach().requires_grad_()
            words: dict[str, Tensor] = network.phrases(leaf)
            loss = torch.stack(
                [
                    F.cross_entropy(words[name], target.to(leaf.device), reduction="sum")
                    for name, target in targets.items()
                ]
            ).sum()
            (slope,) = torch.autograd.grad(loss, leaf)
            open_rows = ~_predicted(words, forced)[:, None].to(leaf.device)  # others are done
            step = _STEP * F.normalize(slope, dim=-1) * open_rows
            moved = F.normalize(leaf.detach() - step, dim=-1)
        return moved, _predicted(network.phrases(moved), forced).tolist()


def _predicted(words: Mapping[str, Tensor], forced: Sequence[Phrase]) -> Tensor:
    """Return per row whether its forced phrase has at least half of the probability, `(K,)` bool."""
    return torch.stack(
        [words[name][row].softmax(dim=-1)[index] >= _PREDICTED for row, (name, index) in enumerate(forced)]
    ).cpu()
