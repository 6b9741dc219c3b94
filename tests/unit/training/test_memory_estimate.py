from __future__ import annotations

import copy
import gc
import math
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPSegConfig

from lexiseg.models.spec import NetworkSpec
from lexiseg.systems.cotexnet.paper_network import CoTexNet, CoTexNetOutput
from lexiseg.systems.registry import build_network
from lexiseg.training.machine import step_times
from lexiseg.training.machine.memory import (
    MemoryEstimate,
    activation_bytes,
    available_memory,
    container_memory,
)
from lexiseg.training.machine.step_times import faster_in_bf16
from tiny_clipseg import CONFIG


def test_saved_bytes_by_hand() -> None:
    # a convolution keeps its input, a ReLU its output: (3 + 4) channels of 16 x 16 float32
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert activation_bytes(network, 16) == (3 + 4) * 16 * 16 * 4


def test_the_network_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(encoder="lcnet_050"), None).eval()
    before = copy.deepcopy(network.state_dict())
    assert activation_bytes(network, 64) > 100_000
    assert not network.training
    fast, fp32, bf16 = faster_in_bf16(network, image_size=64, batch_size=2)
    assert fp32 > 0
    assert bf16 > 0
    assert fast == (bf16 < 0.9 * fp32)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_whose_activations_were_counted_is_freed() -> None:
    # The output of the convolution is saved for its own gradient: a cycle that no garbage collector sees.
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid())
    weight = weakref.ref(network[0].weight)
    activation_bytes(network, 16)
    del network
    gc.collect()
    assert weight() is None


def test_the_choice_of_the_precision_keeps_a_limit() -> None:
    network = build_network(NetworkSpec(encoder="lcnet_050"), None).eval()
    steps: list[nn.Module] = []
    network.register_forward_hook(lambda module, *_: steps.append(module))
    before = copy.deepcopy(network.state_dict())
    fast, fp32, bf16 = faster_in_bf16(network, image_size=64, batch_size=2, limit_s=1e-9)
    assert (len(steps), fast) == (1, None)
    assert fp32 > 0
    assert math.isnan(bf16)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("seconds", "faster"),
    [
        # The first step in each precision prepares what later ones use.
        ([1.0, 0.1, 0.1, 0.9, 0.05, 0.05], True),
        ([1.0, 0.1, 0.1, 0.9, 0.2, 0.2], False),
        ([1.0, 0.9, 0.9, 9.0], False),
    ],
)
def test_a_slow_first_step_in_bf16_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], faster: bool
) -> None:
    left = iter(seconds)
    monkeypatch.setattr(step_times, "_step_on", lambda *_, **__: next(left))
    assert faster_in_bf16(nn.Conv2d(3, 1, 1), image_size=8, batch_size=1)[0] is faster
    assert next(left, None) is None


def test_larger_images_keep_more() -> None:
    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, image: Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=self.conv(image).relu())

    assert activation_bytes(Body(), 32) * 3.9 < activation_bytes(Body(), 64)


def test_a_network_that_is_taught_otherwise_counts_what_it_is_taught_with() -> None:
    class Inference(nn.Module):
        def __init__(self, network: CoTexNet) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor) -> CoTexNetOutput:
            output: CoTexNetOutput = self.network(image)
            return output

    torch.manual_seed(0)
    config = CLIPSegConfig.from_dict(CONFIG)
    network = CoTexNet(config, 2)
    without = activation_bytes(Inference(network), 32)
    # Each of the text tower's 2 layers keeps at least q, k, v and both norms' inputs: 40 tokens, 16 wide.
    assert activation_bytes(network, 32) - without > 2 * 5 * 40 * 16 * 4
    output = network.training_pass(torch.zeros(3, 3, 32, 32))
    assert output.logits.shape == (3, 1, 32, 32)
    assert output.text_embedding.shape == (3, CONFIG["projection_dim"])


def test_the_sentence_adds_up() -> None:
    estimate = MemoryEstimate(model=2**30, activations=2**31, data=2**29, available=2**33)
    assert estimate.total == 3.5 * 2**30
    assert estimate.sentence() == (
        "Memory: about 3.5 GiB (activations 2.0, images 0.5, model 1.0) of 8.0 GiB free."
    )
    assert available_memory() > 2**20


@pytest.mark.parametrize(
    ("folder", "limit", "used", "cache"),
    [
        (".", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_the_file_cache_of_a_container_is_free(
    folder: str, limit: str, used: str, cache: str, tmp_path: Path
) -> None:
    assert container_memory(tmp_path) is None
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    (place / limit).write_text("1000\n")
    (place / used).write_text("990\n")
    often = cache.replace("inactive", "active")
    (place / "memory.stat").write_text(f"anon 90\n{cache} 700\n{often} 200\n")
    assert container_memory(tmp_path) == 1000 - 90
    (place / limit).write_text("max\n")
    assert container_memory(tmp_path) is None
