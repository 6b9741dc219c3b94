from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fake_bank import SIZES
from lexiseg.models.network_weights import load_weights, save_weights
from lexiseg.models.plain_network import PlainNetwork
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.cotexnet.compact_network import CompactCoTexNet, unit_variance
from lexiseg.systems.cotexnet.compact_text_supervisor import CompactTextSupervisor
from lexiseg.systems.registry import build_network

SMALL = "lcnet_050"


def build(bank: TextBank, **spec: object) -> CompactCoTexNet:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(model="cotexnet", **spec), bank)
    assert isinstance(network, CompactCoTexNet)
    # The modulations start at zero, where no prompt reaches the mask.
    for modulation in network.decoder.modulations:
        torch.nn.init.normal_(modulation.scale_shift.weight, std=0.1)
    return network


def plain(**spec: object) -> PlainNetwork:
    network = build_network(NetworkSpec(model="cotexnet", **spec), None)
    assert isinstance(network, PlainNetwork)
    return network


@pytest.fixture(scope="module")
def net(bank: TextBank) -> CompactCoTexNet:
    return build(bank, encoder=SMALL, width=32).eval()


def test_the_default_network_and_its_text_supervisor_are_small(bank: TextBank) -> None:
    network = build(bank)
    supervisor = CompactTextSupervisor(parts="both", width=128, classes=3, centre=torch.zeros(384))
    trained = [p.numel() for module in (network, supervisor) for p in module.parameters() if p.requires_grad]
    assert sum(trained) < 8_000_000
    assert sum(p.numel() for p in network.parameters()) == 4_517_670  # a change breaks saved runs


@torch.inference_mode()
def test_shapes(net: CompactCoTexNet) -> None:
    output = net(torch.randn(2, 3, 96, 64))
    assert output.logits.shape == (2, 1, 96, 64)
    assert output.logits.dtype == torch.float32
    assert {name: tuple(scores.shape) for name, scores in output.retrieval.items()} == {
        name: (2, size) for name, size in SIZES.items()
    }
    assert output.image_embedding.shape == (2, 384)
    torch.testing.assert_close(output.image_embedding.norm(dim=1), torch.ones(2))
    assert output.tokens.shape == (2, 6 * 4, 32)


@torch.inference_mode()
def test_an_image_gives_the_same_whatever_is_beside_it(net: CompactCoTexNet) -> None:
    images = torch.randn(3, 3, 64, 64)
    together, alone = net(images), net(images[1:2])
    torch.testing.assert_close(together.logits[1:2], alone.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.image_embedding[1:2], alone.image_embedding, atol=1e-5, rtol=1e-5)
    for name, scores in alone.retrieval.items():
        torch.testing.assert_close(together.retrieval[name][1:2], scores, atol=1e-5, rtol=1e-5)


def test_the_start_depends_on_the_seed_alone(bank: TextBank) -> None:
    first, second = (build(bank, encoder=SMALL, width=32).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_saved_weights_give_the_same_outputs(net: CompactCoTexNet, bank: TextBank, tmp_path: Path) -> None:
    save_weights(net, tmp_path / "w.safetensors")
    torch.manual_seed(9)
    spec = NetworkSpec(model="cotexnet", encoder=SMALL, width=32)
    loaded = build_network(spec, bank).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.equal(loaded(image).logits, net(image).logits)
        load_weights(loaded, tmp_path / "w.safetensors")
        assert torch.equal(loaded(image).logits, net(image).logits)
        assert torch.equal(loaded(image).retrieval["left"], net(image).retrieval["left"])


def test_several_classes(bank: TextBank) -> None:
    network = build(bank, encoder=SMALL, width=32, out_channels=4).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, 64, 64)).logits.shape == (1, 4, 64, 64)


def test_without_text_the_decoder_is_the_same(bank: TextBank) -> None:
    # Else a comparison with and without words would be one of decoders, not of words.
    with_words, without = build(bank, encoder=SMALL, width=32), plain(encoder=SMALL, width=32)
    shapes = [{n: t.shape for n, t in net.decoder.state_dict().items()} for net in (with_words, without)]
    assert shapes[0] == shapes[1]


def test_a_gradient_reaches_every_part(bank: TextBank) -> None:
    network = build(bank, encoder=SMALL, width=32).train()
    output = network(torch.randn(2, 3, 64, 64))
    (output.logits.square().mean() + sum(s.square().mean() for s in output.retrieval.values())).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def moved_by_words(network: CompactCoTexNet) -> set[str]:
    network.zero_grad()
    sum(s.square().mean() for s in network(torch.randn(2, 3, 64, 64)).retrieval.values()).backward()
    return {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}


def test_words_shape_the_embedding_unless_they_are_only_read(bank: TextBank) -> None:
    network = build(bank, encoder=SMALL, width=32).train()
    assert moved_by_words(network) == {"encoder", "embedding", "phrases"}
    network.words_only_read = True
    assert moved_by_words(network) == {"phrases"}


@torch.inference_mode()
def test_the_embedding_prompts_the_decoder(net: CompactCoTexNet) -> None:
    image = torch.randn(1, 3, 64, 64)
    pyramid = net.levels.choose(net.encoder(image))
    tokens, own = net.embed(pyramid)
    other = torch.nn.functional.normalize(torch.randn(1, 384), dim=1)
    assert torch.equal(net.segment(pyramid, tokens, own), net(image).logits)
    assert (net.segment(pyramid, tokens, other) - net(image).logits).abs().max() > 1e-3


@torch.inference_mode()
def test_words_are_cosine_similarities_with_the_phrases(net: CompactCoTexNet) -> None:
    embedding = torch.nn.functional.normalize(torch.randn(3, 384), dim=1)
    scores = net.words(embedding)
    reader = net.phrases
    view = reader.image_side(unit_variance(embedding))[:, 32:64]  # of the second factor
    phrases = reader.text_side(reader.text)[2:4]
    similarity = torch.cosine_similarity(view[:, None], phrases[None], dim=2)
    torch.testing.assert_close(scores["count"], reader.log_scale.exp() * similarity + reader.bias[2:4])


def test_entries_of_a_unit_vector_get_mean_square_one() -> None:
    vector: Tensor = torch.nn.functional.normalize(torch.randn(5, 16), dim=1)
    torch.testing.assert_close(unit_variance(vector).square().mean(dim=1), torch.ones(5))
