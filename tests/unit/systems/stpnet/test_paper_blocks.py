from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from lexiseg.systems.stpnet.paper_blocks import Fusion, MultiScaleAttention, PromptedDown, SpatialAttention
from lexiseg.systems.stpnet.paper_transformer import (
    FeedForward,
    Reconstruct,
    TokenDecoder,
    TokenEncoder,
    TransformerBlock,
)


def _fill(module: nn.Module, value: float) -> None:
    for parameter in module.parameters():
        nn.init.constant_(parameter, value)


def test_the_text_enters_the_cnn_as_one_number_behind_its_own_channels() -> None:
    down = PromptedDown(2, 3).eval()
    down.convs = nn.Identity()
    x = torch.arange(8.0).reshape(1, 2, 2, 2)
    text = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert down(x, text).flatten().tolist() == [3.0, 7.0, 3.0]


def test_fusion_refines_only_what_lies_behind_the_cnns_channels() -> None:
    fusion = Fusion(2, 1)
    _fill(fusion.mix, 0.0)  # f + (0 + f) = 2 f
    fusion.refine = nn.Identity()
    cnn, tokens = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1), torch.tensor([5.0]).reshape(1, 1, 1, 1)
    assert fusion(cnn, tokens).flatten().tolist() == [11.0, 12.0]


def test_fusion_with_as_many_token_channels_adds_them_one_by_one() -> None:
    fusion = Fusion(2, 2)
    _fill(fusion.mix, 0.0)
    fusion.refine = nn.Identity()
    cnn, tokens = (
        torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1),
        torch.tensor([5.0, 7.0]).reshape(1, 2, 1, 1),
    )
    assert fusion(cnn, tokens).flatten().tolist() == [11.0, 16.0]


def test_spatial_attention_gates_by_pixel() -> None:
    attention = SpatialAttention(2)
    _fill(attention, 0.0)
    attention.depthwise.weight.data[:, 0, 1, 1] = 2.0  # doubles its input
    attention.gate.weight.data[0, 0] = 1.0  # reads the first channel
    x = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    gate = torch.sigmoid(torch.tensor(2.0))
    torch.testing.assert_close(attention(x).flatten(), torch.tensor([2.0, 6.0]) * gate)


def test_multi_scale_attention_looks_6_12_and_18_pixels_away() -> None:
    attention = MultiScaleAttention(1)
    _fill(attention, 0.0)
    attention.mix.weight.data[:] = 1.0
    for distance, conv in zip((1.0, 10.0, 100.0), attention.surroundings, strict=True):
        conv.weight.data[0, 0, 1, 2] = distance  # reads the pixel to the right
    x = torch.ones(1, 1, 1, 40)
    x[..., 26], x[..., 32], x[..., 38] = 2.0, 3.0, 4.0  # 6, 12 and 18 right of pixel 20
    assert attention(x)[0, 0, 0, 20].item() == 2.0 + 30.0 + 400.0


def test_feed_forward_applies_gelu_after_both_layers() -> None:
    layer = FeedForward(2).eval()
    x = torch.randn(1, 3, 2)
    expected = F.gelu(layer.reduce(F.gelu(layer.expand(x))))
    torch.testing.assert_close(layer(x), expected)
    assert layer.expand.out_features == 8


def test_block_drops_the_texts_half_after_the_attention() -> None:
    block = TransformerBlock(8, attention_width=16).eval()
    _fill(block.attention, 0.0)
    _fill(block.feed_forward, 0.0)
    x = torch.randn(2, 3, 16)
    assert torch.equal(block(x), x[..., :8])


def test_token_encoder_joins_the_finer_scale_behind_its_own() -> None:
    encoder = TokenEncoder(16, patch_size=2, text_tokens=5, has_finer=True).eval()
    finer = torch.randn(2, 196, 8)
    tokens = encoder(torch.randn(2, 16, 28, 28), torch.randn(2, 5, 16), finer)
    assert tokens.shape == (2, 196, 16)
    assert torch.equal(tokens[..., 8:], finer)


def test_the_text_reaches_the_tokens() -> None:
    encoder = TokenEncoder(16, patch_size=2, text_tokens=5, has_finer=False).eval()
    image, text = torch.randn(1, 16, 28, 28), torch.randn(1, 5, 16)
    assert not torch.allclose(encoder(image, text, None), encoder(image, -text, None))


def test_token_decoder_adds_the_coarser_scale_after_the_block() -> None:
    decoder = TokenDecoder(8, has_coarser=True).eval()
    tokens, coarser = torch.randn(2, 196, 8), torch.randn(2, 196, 16)
    expected = decoder.block(tokens) + decoder.narrow(coarser.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(decoder(tokens, coarser), expected)


def test_reconstruct_equals_upsampling_first_in_training_too() -> None:
    reconstruct = Reconstruct(4, 3, scale=2)
    tokens = torch.randn(2, 196, 4)
    grid = tokens.transpose(1, 2).reshape(2, 4, 14, 14)
    expected = reconstruct.project(F.interpolate(grid, scale_factor=2, mode="nearest"))
    found = reconstruct(tokens)
    assert found.shape == (2, 3, 28, 28)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
