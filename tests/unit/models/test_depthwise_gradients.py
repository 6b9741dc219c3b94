"""Depthwise convolutions in bf16: the same outputs, and the gradients of fp32, by whatever code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lexiseg.models.depthwise_gradients import DepthwiseGradients

OURS = "_DepthwiseConvolutionBackward"
CHANNELS = 8


def example(
    kernel: int, *, groups: int = CHANNELS, bias: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, CHANNELS, 13, 14, generator=generator).contiguous(
        memory_format=torch.channels_last
    )
    weight = torch.randn(CHANNELS, CHANNELS // groups, kernel, kernel, generator=generator)
    return image.requires_grad_(), weight.requires_grad_(), torch.zeros(CHANNELS) if bias else None


def computed(
    image: Tensor, weight: Tensor, bias: Tensor | None = None, *, bf16: bool, ours: bool, **options: Any
) -> Tensor:
    mode = DepthwiseGradients() if ours else contextlib.nullcontext()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16), mode:
        return functional.conv2d(
            image,
            weight,
            bias,
            options.get("stride", 1),
            options.get("padding", 0),
            options.get("dilation", 1),
            options.get("groups", CHANNELS),
        )


def gradients(output: Tensor, *of: Tensor) -> list[Tensor]:
    return [found.float() for found in torch.autograd.grad((output.float() ** 2).sum(), of)]


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (5, 2), (3, 2), (7, 1), (5, (2, 1))])
@pytest.mark.parametrize("padding", [0, 2])
def test_outputs_are_equal_and_gradients_those_of_fp32(kernel: int, stride: Any, padding: int) -> None:
    image, weight, _ = example(kernel)
    exact = computed(image, weight, bf16=False, ours=False, stride=stride, padding=padding)
    plain = computed(image, weight, bf16=True, ours=False, stride=stride, padding=padding)
    ours = computed(image, weight, bf16=True, ours=True, stride=stride, padding=padding)
    assert ours.grad_fn is not None
    assert ours.grad_fn.name() == OURS
    assert torch.equal(ours, plain)
    for found, wanted in zip(gradients(ours, image, weight), gradients(exact, image, weight), strict=True):
        assert found.shape == wanted.shape
        assert float((found - wanted).abs().max() / wanted.abs().max()) < 0.02


@pytest.mark.parametrize(
    ("options", "bf16"),
    [
        ({"kernel": 3}, True),  # has fast gradients
        ({"kernel": 5}, False),  # fp32
        ({"kernel": 5, "groups": 1}, True),  # not depthwise
        ({"kernel": 5, "groups": 4}, True),
        ({"kernel": 5, "bias": True}, True),
        ({"kernel": 5, "dilation": 2}, True),
        ({"kernel": 5, "padding": "same"}, True),
    ],
)
def test_other_convolutions_are_left_to_torch(options: dict[str, Any], bf16: bool) -> None:
    image, weight, bias = example(
        options.pop("kernel"), groups=options.get("groups", CHANNELS), bias=options.pop("bias", False)
    )
    output = computed(image, weight, bias, bf16=bf16, ours=True, **options)
    assert output.grad_fn is not None
    assert output.grad_fn.name() != OURS
    assert torch.equal(output, computed(image, weight, bias, bf16=bf16, ours=False, **options))


def test_only_the_wanted_gradient_is_computed() -> None:
    image, weight, _ = example(5)
    (of_weight,) = gradients(computed(image.detach(), weight, bf16=True, ours=True, stride=2), weight)
    (of_image,) = gradients(computed(image, weight.detach(), bf16=True, ours=True, stride=2), image)
    both = gradients(computed(image, weight, bf16=True, ours=True, stride=2), image, weight)
    assert torch.equal(of_image, both[0])
    assert torch.equal(of_weight, both[1])


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_network_of_modules_is_seen_too(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False), nn.BatchNorm2d(8)
    ).to(memory_format=layout)
    image = torch.randn(2, 3, 16, 16).contiguous(memory_format=layout)
    names = set[str]()

    def note(function: Callable[..., Any] | Any) -> None:
        if function is not None and function.name() not in names:
            names.add(function.name())
            for before, _ in function.next_functions:
                note(before)

    with torch.autocast("cpu", torch.bfloat16), DepthwiseGradients():
        loss = network(image).float().mean()
    note(loss.grad_fn)
    assert OURS in names
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_without_gradients_nothing_changes() -> None:
    image, weight, _ = example(5)
    with torch.no_grad():
        assert computed(image, weight, bf16=True, ours=True).grad_fn is None
