from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fake_bank import SIZES
from lexiseg.models.network_weights import count_parameters
from lexiseg.models.plain_network import PlainNetwork
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.systems.registry import build_network
from lexiseg.systems.stpnet.compact_network import CompactStpNet, factors_of_scale
from refusals import refuses


def build(bank: TextBank, **spec: object) -> CompactStpNet:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(**spec), bank)
    assert isinstance(network, CompactStpNet)
    return network


def plain(**spec: object) -> PlainNetwork:
    network = build_network(NetworkSpec(model="stpnet", **spec), None)
    assert isinstance(network, PlainNetwork)
    return network


@pytest.fixture(scope="module")
def default(bank: TextBank) -> CompactStpNet:
    return build(bank).eval()


def test_default_network_is_small(default: CompactStpNet) -> None:
    assert count_parameters(default) < 8_000_000
    assert count_parameters(default) == 4_141_990  # a change of the network breaks saved runs


@torch.inference_mode()
def test_shapes(default: CompactStpNet) -> None:
    output = default(torch.randn(2, 3, 96, 64))
    assert output.logits.shape == (2, 1, 96, 64)
    assert output.logits.dtype == torch.float32
    assert {name: tuple(scores.shape) for name, scores in output.retrieval.items()} == {
        name: (2, size) for name, size in SIZES.items()
    }
    assert output.attention.shape == (2, 20, 6, 4)
    torch.testing.assert_close(output.attention.sum(dim=(2, 3)), torch.ones(2, 20))


@torch.inference_mode()
def test_an_image_gives_the_same_whatever_is_beside_it(default: CompactStpNet) -> None:
    images = torch.randn(3, 3, 64, 64)
    together, alone = default(images), default(images[1:2])
    torch.testing.assert_close(together.logits[1:2], alone.logits, atol=1e-5, rtol=1e-5)
    for name, scores in alone.retrieval.items():
        torch.testing.assert_close(together.retrieval[name][1:2], scores, atol=1e-5, rtol=1e-5)


def test_several_classes(bank: TextBank) -> None:
    network = build(bank, out_channels=4, encoder="lcnet_050").eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, 64, 64)).logits.shape == (1, 4, 64, 64)


def test_without_text_the_decoder_has_prompts_all_the_same(bank: TextBank) -> None:
    # They make training faster whatever they say: without, words would seem to pay where they do not.
    spoken, silent = build(bank, width=32).decoder, plain(width=32).decoder
    shapes = [{n: t.shape for n, t in decoder.state_dict().items()} for decoder in (spoken, silent)]
    first = "stages.0.0.weight"  # takes the guide: where the retrieved phrases look
    assert shapes[0].keys() == shapes[1].keys()
    assert {n for n in shapes[0] if shapes[0][n] != shapes[1][n]} == {first}
    assert shapes[0][first][1] == shapes[1][first][1] + len(bank.phrases)


def wake(network: CompactStpNet) -> None:
    """Move the modulations away from zero, their start, where no gradient reaches the prompts."""
    for modulation in network.decoder.modulations:
        torch.nn.init.normal_(modulation.scale_shift.weight, std=0.1)


def test_a_gradient_reaches_every_part(bank: TextBank) -> None:
    network = build(bank).train()
    wake(network)
    output = network(torch.randn(2, 3, 64, 64))
    loss = output.logits.square().mean() + sum(s.square().mean() for s in output.retrieval.values())
    loss.backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_the_mask_teaches_the_retrieval_too(bank: TextBank) -> None:
    network = build(bank, encoder="lcnet_050").train()
    wake(network)
    network(torch.randn(2, 3, 64, 64)).logits.square().mean().backward()
    assert network.retrieval.query.weight.grad.abs().sum() > 0
    assert network.retrieval.text_side.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("factors", "scales", "spoken"),
    [
        (4, 4, [1, 2, 3, 4]),  # as published
        (5, 4, [2, 3, 4, 5]),
        (1, 4, [1, 1, 1, 1]),
        (2, 4, [1, 1, 2, 2]),
        (4, 3, [2, 3, 4]),
    ],
)
def test_coarse_words_speak_first_and_all_at_the_finest_scale(
    factors: int, scales: int, spoken: list[int]
) -> None:
    assert [factors_of_scale(scale, factors, scales) for scale in range(scales)] == spoken


@torch.inference_mode()
def test_prompts_are_coarse_to_fine(default: CompactStpNet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Tensor]] = []
    monkeypatch.setattr(
        default.decoder, "forward", lambda pyramid, prompts, guide: seen.append(prompts) or torch.zeros(1)
    )

    def prompts_of(right: int) -> list[Tensor]:
        chosen = {"laterality": 1, "count": 0, "left": 2, "right": right}
        probability = {
            name: torch.nn.functional.one_hot(torch.tensor([chosen[name]]), size).float()
            for name, size in SIZES.items()
        }
        default.decode([], probability, torch.ones(1, 20, 4, 4) / 16, torch.zeros(1, 128, 4, 4))
        return seen[-1]

    first, second = prompts_of(right=0), prompts_of(right=5)
    same = [torch.equal(a, b) for a, b in zip(first, second, strict=True)]
    assert same == [True, True, True, False]  # the last factor is heard at the finest scale only
    texts = default.retrieval.text  # (20, 384): laterality 0-1, count 2-3, ...
    expected = default.prompt((texts[1:2] + texts[2:3]) / 2)
    torch.testing.assert_close(first[1], expected)


@torch.inference_mode()
def test_the_guide_shows_where_the_retrieved_phrase_looks(
    default: CompactStpNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(
        default.decoder, "forward", lambda pyramid, prompts, guide: seen.append(guide) or torch.zeros(1)
    )
    attention = torch.full((1, 20, 2, 2), 0.25)
    attention[0, 3] = torch.tensor([[1.0, 0], [0, 0]])  # second phrase of the second factor
    probability = {name: torch.full((1, size), 1 / size) for name, size in SIZES.items()}
    probability["count"] = torch.tensor([[0.0, 1.0]])
    grid = torch.randn(1, 128, 2, 2)
    default.decode([], probability, attention, grid)
    assert seen[0].shape == (1, 128 + 4, 2, 2)
    torch.testing.assert_close(seen[0][:, :128], grid)  # the tokens, then one map per factor
    torch.testing.assert_close(seen[0][0, 129], torch.tensor([[4.0, 0], [0, 0]]))  # mean 1
    torch.testing.assert_close(seen[0][0, 128], torch.ones(2, 2))


@pytest.mark.parametrize("encoder", ["resnet18", "convnext_atto", "mobilenetv3_small_100"])
def test_other_encoders(bank: TextBank, encoder: str) -> None:
    network = build(bank, encoder=encoder)
    wake(network)
    output = network.train()(torch.randn(2, 3, 64, 64))
    assert output.logits.shape == (2, 1, 64, 64)
    assert output.attention.shape == (2, 20, 4, 4)
    assert len(network.decoder.stages) == len(network.levels.strides) - 1
    (output.logits.square().mean() + sum(s.square().mean() for s in output.retrieval.values())).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_an_encoder_without_a_pyramid_is_refused() -> None:
    with refuses("LEX-USE-017", "'vit_tiny_patch16_224' has"):
        build(None, encoder="vit_tiny_patch16_224")
