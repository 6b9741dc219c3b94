"""Explanations of the published STPNet, which takes images of 224 px only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lexiseg.systems.stpnet.paper_network import StpNet
from lexiseg.systems.stpnet.paper_prompt_trace import trace_prompts as trace_published


def test_the_published_stpnet_under_a_forced_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a forced phrase gives is what a network that retrieves it gives."""
    generator = torch.Generator().manual_seed(0)
    banks = {
        name: torch.randn(size, 1, 4, 384, generator=generator) for name, size in (("shape", 3), ("size", 4))
    }
    network = StpNet(banks).eval()
    x = torch.randn(1, 3, 224, 224, generator=generator)
    trace = trace_published(network, x, retrieved={}, forced=[("size", 2), ("size", 3)])
    assert (trace.heat, trace.heat_kind, trace.prompted_part) == ({}, None, "encoder")
    # Two factors over four scales: ceil(2 scale / 4) of them, at full resolution first.
    both = ("shape", "size")
    assert trace.factors_by_scale == ((1, ("shape",)), (2, ("shape",)), (4, both), (8, both))
    match = network.match

    def match_another(tokens: torch.Tensor) -> Any:
        embedding, factors = match(tokens)
        return embedding, {**factors, "size": replace(factors["size"], index=torch.tensor([3]))}

    with torch.inference_mode():
        torch.testing.assert_close(trace.logits, network(x).logits)
        monkeypatch.setattr(network, "match", match_another)
        torch.testing.assert_close(trace.forced[1], network(x).logits)
    assert not torch.equal(trace.forced[0], trace.forced[1])
