from __future__ import annotations

import pytest
import torch

from lexiseg.models.losses import CompactObjective
from lexiseg.models.plain_network import PlainNetwork, PlainOutput
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.registry import build_network


def build(model: str = "stpnet", **spec: object) -> PlainNetwork:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(model=model, encoder="lcnet_050", **spec), None)
    assert isinstance(network, PlainNetwork)
    return network


def test_it_has_no_text_parts() -> None:
    network = build().eval()
    assert {name.split(".")[0] for name in network.state_dict()} == {
        "encoder",
        "reader",
        "unspoken",
        "decoder",
    }
    with torch.inference_mode():
        output = network(torch.randn(1, 3, 64, 64))
    assert output.logits.shape == (1, 1, 64, 64)
    assert output.retrieval == {}


def test_both_systems_share_it() -> None:
    stpnet, cotexnet = build("stpnet").state_dict(), build("cotexnet").state_dict()
    assert stpnet.keys() == cotexnet.keys()
    assert all(torch.equal(value, cotexnet[name]) for name, value in stpnet.items())


def test_several_classes() -> None:
    with torch.inference_mode():
        assert build(out_channels=4).eval()(torch.randn(1, 3, 64, 64)).logits.shape == (1, 4, 64, 64)


def test_a_gradient_reaches_every_part() -> None:
    network = build(width=32).train()
    for modulation in network.decoder.modulations:  # they start at zero, where no gradient reaches the prompt
        torch.nn.init.normal_(modulation.scale_shift.weight, std=0.1)
    network(torch.randn(2, 3, 64, 64)).logits.square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_its_losses_by_hand_are_those_of_images_with_a_mask() -> None:
    logits = torch.zeros(2, 1, 2, 2)
    labels = torch.tensor([[[[1, 1], [0, 0]]], [[[1, 1], [1, 1]]]])
    parts = CompactObjective(retrieval_weight=1.0)(
        PlainOutput(logits=logits), labels, torch.zeros(2, 0), torch.tensor([True, False])
    )
    # Probability 0.5 in 4 pixels, 2 of them lesion: ln 2, and 1 - (2 * 1 + 1) / (2 + 2 + 1).
    assert float(parts["cross_entropy"]) == pytest.approx(0.693147, abs=1e-6)
    assert float(parts["dice"]) == pytest.approx(1 - 3 / 5)
    assert float(parts["total"]) == pytest.approx(0.693147 + 0.4, abs=1e-6)
