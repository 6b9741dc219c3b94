"""What prompts do inside the published STPNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lexiseg.models.prompt_trace import Phrase, PromptTrace
from lexiseg.systems.stpnet.compact_network import factors_of_scale
from lexiseg.systems.stpnet.paper_network import CHANNELS, StpNet


@torch.no_grad()
def trace_prompts(
    network: StpNet, image: Tensor, *, retrieved: Mapping[str, int], forced: Sequence[Phrase]
) -> PromptTrace:
    """Return the masks under forced phrases; the network does not show where a phrase acts.

    The arguments are those of `lexiseg.models.prompt_trace.TracePrompts`; `retrieved` is not used, as the
    network retrieves its phrases again.
    """
    own = {name: factor.index for name, factor in network.retrieve(image)[1].items()}
    rows = [own] + [own | {name: torch.full_like(own[name], index)} for name, index in forced]
    # One by one: a dozen at once would take gigabytes at 224 pixels.
    logits, *others = (network.segment(image, list(row.values())) for row in rows)
    names, scales = network.factor_names, len(CHANNELS)
    return PromptTrace(
        heat={},
        heat_kind=None,
        logits=logits,
        forced=tuple(others),
        factors_by_scale=tuple(
            (1 << scale, names[: factors_of_scale(scale, len(names), scales)]) for scale in range(scales)
        ),
        prompted_part="encoder",
    )
