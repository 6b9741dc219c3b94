from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lexiseg.errors import UsageError
from lexiseg.models.pyramid import ConstantPrompt, Modulation, PyramidDecoder, PyramidLevels, pyramid_levels


def encoder(reductions: list[int], output_fmt: object = None) -> nn.Module:
    """Return what `pyramid_levels` looks at; level i has 10 + i channels."""
    module = nn.Module()
    channels = [10 + i for i in range(len(reductions))]
    module.feature_info = SimpleNamespace(reduction=lambda: reductions, channels=lambda: channels)
    module.output_fmt = output_fmt
    return module


@pytest.mark.parametrize(
    ("reductions", "indices", "strides"),
    [
        ([2, 4, 8, 16, 32], (0, 1, 2, 3, 4), (2, 4, 8, 16, 32)),
        ([4, 8, 16, 32], (0, 1, 2, 3), (4, 8, 16, 32)),
        ([1, 2, 4, 8, 16, 32], (1, 2, 3, 4, 5), (2, 4, 8, 16, 32)),  # full resolution is too dear
        ([4, 8, 16, 32, 64], (0, 1, 2, 3), (4, 8, 16, 32)),
        ([4, 8, 16, 16, 32, 32], (0, 1, 3, 5), (4, 8, 16, 32)),  # the deepest of several
    ],
)
def test_levels_are_those_at_strides_2_to_32(
    reductions: list[int], indices: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    levels = pyramid_levels(encoder(reductions), name="some")
    assert (levels.indices, levels.strides) == (indices, strides)
    assert levels.channels == tuple(10 + i for i in indices)


@pytest.mark.parametrize("reductions", [[16, 16, 16], [2, 4, 8, 16], [4, 8, 32], [8]])
def test_an_encoder_without_strides_16_and_32_is_refused_by_name(reductions: list[int]) -> None:
    said = ", ".join(map(str, reductions))
    with pytest.raises(
        UsageError, match=f"'vit_some' has features at the strides {said}, but .* needs 16 and 32"
    ):
        pyramid_levels(encoder(reductions), name="vit_some")


def test_features_with_channels_last_are_turned() -> None:
    levels = pyramid_levels(encoder([4, 8, 16, 32], "Format.NHWC"), name="swin")
    features = [torch.randn(2, 64 // s, 64 // s, 10 + i) for i, s in enumerate((4, 8, 16, 32))]
    pyramid = levels.choose(features)
    assert [tuple(level.shape) for level in pyramid] == [
        (2, 10, 16, 16),
        (2, 11, 8, 8),
        (2, 12, 4, 4),
        (2, 13, 2, 2),
    ]
    assert torch.equal(pyramid[0][:, 3], features[0][..., 3])


def test_choosing_passes_features_on_untouched() -> None:
    levels = PyramidLevels(indices=(1, 2), strides=(16, 32), channels=(3, 3))
    features = [torch.zeros(1), torch.ones(1), torch.ones(1)]
    assert all(a is b for a, b in zip(levels.choose(features), features[1:], strict=True))


@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32), (4, 16, 32)])
def test_decoder_returns_logits_at_the_size_of_the_image(strides: tuple[int, ...]) -> None:
    number = len(strides)
    levels = PyramidLevels(indices=tuple(range(number)), strides=strides, channels=(8,) * number)
    decoder = PyramidDecoder(levels, out_channels=3, prompt_width=5, guide_channels=2)
    pyramid = [torch.randn(2, 8, 64 // s, 96 // s) for s in strides]
    prompts = [torch.randn(2, 5)] * (len(strides) - 1)
    logits = decoder(pyramid, prompts, torch.randn(2, 2, 4, 6))
    assert logits.shape == (2, 3, 64, 96)
    widths = [block[0].out_channels for block in decoder.stages]
    assert widths == [{16: 96, 8: 48, 4: 32, 2: 16}[s] for s in reversed(strides[:-1])]


def test_the_constant_prompt_is_learned_and_the_same_for_every_image() -> None:
    constant = ConstantPrompt(6)
    prompt = constant(3)
    assert prompt.shape == (3, 6)
    assert torch.equal(prompt[0], prompt[2])
    prompt.sum().backward()
    assert constant.said.grad is not None
    assert constant.said.grad.abs().sum() > 0


def test_prompts_start_without_effect_and_then_have_one() -> None:
    modulation = Modulation(4, 3)
    features, prompt = torch.randn(2, 3, 5, 5), torch.ones(2, 4)
    assert torch.equal(modulation(features, prompt), features)
    with torch.no_grad():
        modulation.scale_shift.bias.copy_(
            torch.tensor([1.0, 0, 0, 0, 0, 2])
        )  # scale (1, 0, 0), shift (0, 0, 2)
    changed = modulation(features, prompt)
    assert torch.equal(changed[:, 0], features[:, 0] * 2)
    assert torch.equal(changed[:, 1], features[:, 1])
    assert torch.equal(changed[:, 2], features[:, 2] + 2)
