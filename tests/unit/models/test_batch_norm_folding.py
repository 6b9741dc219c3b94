from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lexiseg.models.batch_norm_folding import example_image, fold_batch_norms
from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.compact_builders import compact_network
from lexiseg.systems.stpnet.compact_network import CompactStpNet


def shake_norms(network: nn.Module) -> nn.Module:
    """Give every batch norm statistics and weights that do something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                shape = module.weight.shape
                module.running_mean.copy_(0.3 * torch.randn(shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
                module.weight.copy_(0.5 + torch.rand(shape, generator=generator))
                module.bias.copy_(0.3 * torch.randn(shape, generator=generator))
    return network.eval()


class Wrapped(nn.Module):
    """Gives a body the output of a segmentation network."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Any:
        return SimpleNamespace(logits=self.body(image), retrieval={})


def test_default_network_gives_the_same_outputs_with_its_norms_folded() -> None:
    torch.manual_seed(0)
    network = shake_norms(compact_network(CompactStpNet, NetworkSpec(), None, encoder_weights="imagenet"))
    image = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        before = network(image).logits
        folded = fold_batch_norms(network, example_image(96))
        after = network(image).logits
    assert folded > 40
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_activations_inside_norms_stay() -> None:
    from timm.layers import BatchNormAct2d

    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 1, 1))
    network = shake_norms(Wrapped(body))
    image = torch.randn(1, 3, 8, 8)
    before = network(image).logits
    assert fold_batch_norms(network, example_image(8)) == 1
    assert isinstance(body[1], nn.ReLU)
    torch.testing.assert_close(network(image).logits, before)


def test_a_convolution_whose_output_goes_elsewhere_too_is_left_alone() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, image: Tensor) -> Tensor:
            raw = self.conv(image)
            return raw + self.norm(raw)

    torch.manual_seed(0)
    network = shake_norms(Wrapped(Branching()))
    image = torch.randn(1, 3, 8, 8)
    before, state = network(image).logits, {k: v.clone() for k, v in network.state_dict().items()}
    assert fold_batch_norms(network, example_image(8)) == 0
    assert torch.equal(network(image).logits, before)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_modules_used_twice_are_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, image: Tensor) -> Tensor:
            return self.norm(self.conv(self.norm(self.conv(image))))

    assert fold_batch_norms(shake_norms(Wrapped(Twice())), example_image(8)) == 0


def test_convolutions_that_change_their_weights_first_are_left_alone() -> None:
    from timm.layers import StdConv2d

    torch.manual_seed(0)
    body = nn.Sequential(StdConv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    assert fold_batch_norms(shake_norms(Wrapped(body)), example_image(8)) == 1
    assert isinstance(body[1], nn.BatchNorm2d)
    assert isinstance(body[3], nn.Identity)


def test_a_network_in_training_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        fold_batch_norms(nn.Conv2d(3, 1, 1).train(), example_image(8))


def test_the_example_is_always_the_same() -> None:
    state = torch.get_rng_state()
    assert torch.equal(example_image(16), example_image(16))
    assert torch.equal(torch.get_rng_state(), state)
