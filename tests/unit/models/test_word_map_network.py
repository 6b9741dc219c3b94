from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from lexiseg.models.encoder_weights import create_encoder
from lexiseg.models.word_map_network import WordMapNetwork
from refusals import refuses


class Deepest(nn.Module):
    """A network that returns the deepest features of its encoder."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        deepest: Tensor = self.encoder(image)[-1]
        return deepest


@pytest.mark.parametrize("name", ["lcnet_050", "resnet18", "swin_s3_tiny_224"])
@torch.inference_mode()
def test_a_network_that_is_told_nothing_sees_the_image_alone(name: str) -> None:
    torch.manual_seed(0)
    size = 224 if "224" in name else 64
    image, word_map = torch.randn(1, 3, size, size), torch.rand(1, 3, size, size)
    network = Deepest(create_encoder(name, pretrained=False)).eval()
    alone = network(image)
    told = WordMapNetwork(network).eval()
    torch.testing.assert_close(told(image, torch.zeros_like(word_map)), alone)
    assert not torch.allclose(told(image, word_map), alone)
    assert told.encoder is network.encoder


def test_the_word_map_has_weights_of_its_own() -> None:
    encoder = create_encoder("lcnet_050", pretrained=False)
    weight = encoder.conv_stem.weight.clone()
    told = WordMapNetwork(Deepest(encoder))
    first = told.encoder.conv_stem
    assert torch.equal(first.image.weight, weight)
    assert not torch.equal(first.word_map.weight, weight)
    assert first.word_map.weight.requires_grad


def test_an_encoder_without_such_a_convolution_is_refused() -> None:
    with refuses("LEX-USE-831", "word_map: false"):
        WordMapNetwork(SimpleNamespace(encoder=nn.Sequential(nn.Linear(3, 4))))  # type: ignore[arg-type]
