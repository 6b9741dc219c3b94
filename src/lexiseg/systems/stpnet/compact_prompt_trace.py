"""What prompts do inside the compact STPNet.

Shape legend: D width, h, w = H/16, W/16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexiseg.models.prompt_trace import Phrase, PromptTrace, repeated
from lexiseg.models.tokens import as_map
from lexiseg.systems.stpnet.compact_network import CompactStpNet, factors_of_scale


@torch.no_grad()
def trace_prompts(
    network: CompactStpNet, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> PromptTrace:
    """Return the attention of each retrieved phrase, and the masks under forced phrases.

    The arguments are those of `lexiseg.models.prompt_trace.TracePrompts`.
    """
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
        repeated(pyramid, 1 + len(forced)), rows, *repeated([attention, grid], 1 + len(forced))
    )
    factors, strides = tuple(scores), network.levels.strides[-2::-1]
    return PromptTrace(
        heat={name: maps[name][index] for name, index in retrieved.items()},
        heat_kind="attention",
        logits=logits[:1],
        forced=tuple(logits[row : row + 1] for row in range(1, len(logits))),
        factors_by_scale=tuple(
            (stride, factors[: factors_of_scale(scale, len(factors), len(strides))])
            for scale, stride in enumerate(strides)
        ),
    )  # fmt: skip
