"""What happens inside the networks: where a phrase acts, and what another phrase would do.

Shape legend: B batch (1 here), K forced phrases, D width, E width of the text bank, h, w = H/16, W/16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexiseg.models.tokens import as_map
from lexiseg.systems.cotexnet.compact import CompactCoTexNet
from lexiseg.systems.stpnet.compact import CompactStpNet, spoken_factors
from lexiseg.systems.stpnet.paper import CHANNELS, StpNet

#: A phrase of a factor: its name and the phrase's index.
Phrase = tuple[str, int]

# Steps on the unit sphere from the image's embedding to one that is read as the forced phrase, and their
# length; together they reach half way round the sphere.
_STEPS = 60
_STEP = 0.05
# An embedding counts as saying a phrase if its probability is at least this.
_SAYS = 0.5


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What was seen inside a network.

    Attributes:
        heat: Per factor where its retrieved phrase acts, `(h, w)`, at least 0; empty if that is not shown.
        heat_kind: What the heat is; None without.
        logits: Mask scores without forcing, `(1, C, H, W)`.
        forced: Mask scores under each forced phrase, `(1, C, H, W)`; None where the network cannot be brought
            to say it.
        spoken: Per scale, the first first, its stride and the factors whose phrases it hears; empty if all
            scales hear the same.
        hearer: What the scales of `spoken` are of: the published STPNet prompts its encoder.
    """

    heat: dict[str, Tensor]
    heat_kind: Literal["attention", "gradient"] | None
    logits: Tensor
    forced: tuple[Tensor | None, ...]
    spoken: tuple[tuple[int, tuple[str, ...]], ...]
    hearer: Literal["encoder", "decoder"] = "decoder"


def look_inside(
    network: nn.Module, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> Inside | None:
    """Look inside a network; None for one that names no words.

    Args:
        network: In eval mode.
        image: `(1, 3, H, W)`, normalised.
        retrieved: Index of the retrieved phrase per factor.
        forced: Phrases to force, each alone; the other factors keep what was retrieved.
    """
    if isinstance(network, CompactStpNet) and network.retrieval is not None:
        return _inside_stpnet(network, image, retrieved, forced)
    if isinstance(network, StpNet):
        return _inside_published(network, image, forced)
    if isinstance(network, CompactCoTexNet) and network.embedding is not None:
        return _inside_cotexnet(network, image, retrieved, forced)
    return None


@torch.no_grad()
def _inside_stpnet(
    network: CompactStpNet, image: Tensor, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> Inside:
    assert network.retrieval is not None
    pyramid = network.levels.choose(network.encoder(image))
    grid = as_map(network.retrieval.read(pyramid[-2], pyramid[-1]), pyramid[-2])  # (1, D, h, w)
    scores, attention = network.retrieval(grid)
    probability = {name: score.softmax(dim=-1) for name, score in scores.items()}
    maps = dict(zip(scores, torch.split(attention[0], list(network.retrieval.sizes.values())), strict=True))
    # The plain mask first, then one row per forced phrase.
    rows = {name: own.repeat(1 + len(forced), 1) for name, own in probability.items()}
    for row, (name, index) in enumerate(forced, start=1):
        rows[name][row] = F.one_hot(torch.tensor(index), rows[name].shape[1]).to(rows[name])
    logits = network.decode(
        _repeated(pyramid, 1 + len(forced)), rows, *_repeated([attention, grid], 1 + len(forced))
    )
    factors, strides = tuple(scores), network.levels.strides[-2::-1]
    return Inside(
        heat={name: maps[name][index] for name, index in retrieved.items()},
        heat_kind="attention",
        logits=logits[:1],
        forced=tuple(logits[row : row + 1] for row in range(1, len(logits))),
        spoken=tuple(
            (stride, factors[: spoken_factors(scale, len(factors), len(strides))])
            for scale, stride in enumerate(strides)
        ),
    )  # fmt: skip


@torch.no_grad()
def _inside_published(network: StpNet, image: Tensor, forced: Sequence[Phrase]) -> Inside:
    own = {name: factor.index for name, factor in network.retrieve(image)[1].items()}
    rows = [own] + [own | {name: torch.full_like(own[name], index)} for name, index in forced]
    # One by one: a dozen at once would take gigabytes at 224 pixels.
    logits, *others = (network.segment(image, list(row.values())) for row in rows)
    names, scales = network.factor_names, len(CHANNELS)
    return Inside(
        heat={},
        heat_kind=None,
        logits=logits,
        forced=tuple(others),
        spoken=tuple(
            (1 << scale, names[: spoken_factors(scale, len(names), scales)]) for scale in range(scales)
        ),
        hearer="encoder",
    )


def _inside_cotexnet(
    network: CompactCoTexNet, image: Tensor, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> Inside:
    """Heat is gradient times token (as in Grad-CAM, Selvaraju et al. 2017); a phrase is forced by embedding.

    The decoder hears e_img alone. What it would do under another phrase is asked with the nearest embedding,
    going downhill on the unit sphere, off which the network itself reads that phrase, and the retrieved ones
    of the other factors.
    """
    assert network.embedding is not None
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
    moved, said = _moved_embeddings(network, own, retrieved, forced)
    with torch.no_grad():
        conditions = torch.cat([own, moved])
        (repeated,) = _repeated([tokens], len(conditions))
        logits = network.segment(_repeated(pyramid, len(conditions)), repeated, conditions)
    return Inside(
        heat=heat,
        heat_kind="gradient",
        logits=logits[:1],
        forced=tuple(
            logits[row : row + 1] if says else None for row, says in enumerate(said, start=1)
        ),
        spoken=(),
    )  # fmt: skip


def _moved_embeddings(
    network: CompactCoTexNet, embedding: Tensor, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> tuple[Tensor, list[bool]]:
    """Return one embedding `(K, E)` of unit length per forced phrase, and whether it says the phrase."""
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
            open_rows = ~_says(words, forced)[:, None].to(leaf.device)  # those that say it already stay
            step = _STEP * F.normalize(slope, dim=-1) * open_rows
            moved = F.normalize(leaf.detach() - step, dim=-1)
        return moved, _says(network.phrases(moved), forced).tolist()


def _says(words: Mapping[str, Tensor], forced: Sequence[Phrase]) -> Tensor:
    """Return per row whether its forced phrase has at least half of the probability, `(K,)` bool."""
    return torch.stack(
        [words[name][row].softmax(dim=-1)[index] >= _SAYS for row, (name, index) in enumerate(forced)]
    ).cpu()


def _repeated(tensors: Sequence[Tensor], times: int) -> list[Tensor]:
    return [tensor.expand(times, *tensor.shape[1:]) for tensor in tensors]
