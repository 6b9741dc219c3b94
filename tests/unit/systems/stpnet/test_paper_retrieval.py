from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lexiseg.systems.stpnet.paper_retrieval import (
    Aggregator,
    FactorHead,
    GeneralisedPooling,
    ImageEncoder,
    TextRepository,
)
from refusals import refuses


def _settle(module: nn.Module) -> nn.Module:
    """Give batch normalisation statistics that are no identity, then eval mode."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return module.eval()


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_heads_result_does_not_depend_on_the_batch_size(depth: int) -> None:
    head = _settle(FactorHead(16, 5, depth=depth))
    vectors = torch.randn(3, 16)
    together = head(vectors)
    alone = torch.cat([head(vector[None]) for vector in vectors])
    torch.testing.assert_close(alone, together)


def test_a_head_is_a_linear_layer_plus_an_mlp_normalised_on_hidden_layers() -> None:
    head = _settle(FactorHead(16, 5, depth=2))
    x = torch.randn(3, 16)
    hidden = torch.relu(head.norms[0](head.hidden[0](x)))
    torch.testing.assert_close(head(x), head.linear(x) + head.output(hidden))
    assert len(head.norms) == 1


def test_pooling_ranks_each_channel_on_its_own() -> None:
    pooling = GeneralisedPooling(3)
    nn.init.zeros_(pooling.score.weight)  # equal weights
    features = torch.tensor([[[1.0, 9.0], [2.0, 8.0], [6.0, 1.0], [100.0, 100.0]]])
    torch.testing.assert_close(pooling(features), torch.tensor([[3.0, 6.0]]))
    # With all weight on the first rank, the pooled value is the maximum of the tokens that take part.
    pooling.codes = torch.zeros(3, 32)
    pooling.gru = nn.Identity()
    pooling.gru.forward = lambda codes: (torch.tensor([9.0, 0.0, 0.0])[None, :, None].expand(1, 3, 64), None)
    nn.init.constant_(pooling.score.weight, 1.0)
    torch.testing.assert_close(pooling(features), torch.tensor([[6.0, 9.0]]))


def test_position_codes_alternate_sine_and_cosine() -> None:
    codes = GeneralisedPooling(4).codes
    assert codes.shape == (4, 32)
    rate = 10000 ** (-2 / 32)
    expected = [math.sin(3), math.cos(3), math.sin(3 * rate), math.cos(3 * rate)]
    assert codes[3, :4].tolist() == pytest.approx(expected, abs=1e-6)


def test_only_as_many_tokens_take_part_as_a_token_is_wide() -> None:
    aggregator = _settle(Aggregator(8, tokens=10))
    tokens = torch.randn(2, 10, 8)
    changed = tokens.clone()
    changed[:, 8:] += 1.0
    assert torch.equal(aggregator(changed), aggregator(tokens))
    changed[:, 7] += 1.0
    assert not torch.allclose(aggregator(changed), aggregator(tokens))


def test_aggregator_gives_unit_vectors_whatever_the_batch() -> None:
    aggregator = _settle(Aggregator(8, tokens=10))
    tokens = torch.randn(3, 10, 8)
    vectors = aggregator(tokens)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(aggregator(tokens[:1]), vectors[:1])


def _constant_bank(values: list[float], layers: int = 1) -> torch.Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, layers, 2, 3)


def test_prompts_average_one_factor_more_per_scale() -> None:
    banks = [_constant_bank([0.0, base]) for base in (1.0, 3.0, 5.0, 7.0)]
    prompts = TextRepository(banks).prompts([torch.tensor([1, 0])] * 4, scales=4)
    assert [prompt.shape for prompt in prompts] == [(2, 2, 3)] * 4
    assert [prompt[0, 0, 0].item() for prompt in prompts] == [1.0, 2.0, 3.0, 4.0]
    assert all(prompt[1].abs().max() == 0 for prompt in prompts)


@pytest.mark.parametrize(
    ("factors", "expected"), [(1, [1, 1, 1, 1]), (2, [1, 1, 2, 2]), (3, [1, 2, 3, 3]), (5, [2, 3, 4, 5])]
)
def test_prompts_of_other_numbers_of_factors_end_with_all_of_them(factors: int, expected: list[int]) -> None:
    banks = [_constant_bank([float(2**position)]) for position in range(factors)]
    prompts = TextRepository(banks).prompts([torch.tensor([0])] * factors, scales=4)
    means = [(2**count - 1) / count for count in expected]
    assert [prompt[0, 0, 0].item() for prompt in prompts] == pytest.approx(means)


def test_repository_averages_the_layers_and_stays_out_of_the_state_dict() -> None:
    bank = torch.randn(2, 3, 4, 5)
    repository = TextRepository([bank])
    torch.testing.assert_close(repository.phrases(0), bank.mean(dim=1))
    assert not repository.state_dict()


def test_image_encoder_refuses_other_weights() -> None:
    with (
        torch.device("meta"),
        refuses("LEX-WEIGHTS-037", "torchvision ResNet-101"),
    ):
        ImageEncoder(768, weights={"conv1.weight": torch.zeros(64, 3, 7, 7)})
