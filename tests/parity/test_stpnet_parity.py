"""The published STPNet, number for number, against the outputs of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lexiseg.systems.stpnet.paper_network import RETRIEVAL_SCALE, StpNet
from lexiseg.systems.stpnet.paper_objective import (
    PaperStpNetObjective,
    focal,
    weighted_bce,
    weighted_dice,
)
from lexiseg.systems.stpnet.published_keys import load_published, split_keys
from published_checkpoints import published_stpnet
from script_module import load_script

_BANKS = {"Unilateral_emb": 2, "num_emb": 2, "left_loc_emb": 8, "right_loc_emb": 8}
_LABELS = torch.tensor([0, 3, 5, 7])


@pytest.fixture(scope="module")
def fill(shared_dir: Path) -> ModuleType:
    return load_script(shared_dir / "reference" / "fill.py")


@pytest.fixture(scope="module")
def checkpoint(shared_dir: Path, fill: ModuleType) -> dict[str, Tensor]:
    entries = json.loads((shared_dir / "reference" / "stpnet_keys.json").read_text())
    state = {}
    for entry in entries:
        name, shape = entry["name"], tuple(entry["shape"])
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.int64)
        else:
            state[name] = torch.from_numpy(fill.value_for(name, shape))
    return state


@pytest.fixture(scope="module")
def banks(fill: ModuleType) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(fill.normal(f"bank.{name}", (count, 1, 30, 768)))
        for name, count in _BANKS.items()
    }


@pytest.fixture(scope="module")
def net(checkpoint: dict[str, Tensor], banks: dict[str, Tensor]) -> StpNet:
    return load_published(checkpoint, banks)


@pytest.fixture(scope="module")
def image(fill: ModuleType) -> Tensor:
    return torch.from_numpy(fill.normal("stpnet.visible.x", (2, 3, 224, 224)))


def test_outputs_match_the_published_code(net: StpNet, image: Tensor, shared_dir: Path) -> None:
    expected = load_file(shared_dir / "reference" / "stpnet_eval.safetensors")
    with torch.inference_mode():
        output = net(image)
    assert len(expected) == 14
    for name, value in expected.items():
        factor, _, part = name.rpartition("_")
        found = getattr(output.factors[factor], part) if factor in output.factors else getattr(output, name)
        assert found.dtype == value.dtype, name
        torch.testing.assert_close(
            found, value, atol=1e-4, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_result_depends_neither_on_the_batch_nor_on_the_memory_format(net: StpNet, image: Tensor) -> None:
    with torch.inference_mode():
        both = net(image)
        alone = net(image[1:].contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(alone.probability, both.probability[1:], atol=1e-5, rtol=0)
    for name, factor in alone.factors.items():
        torch.testing.assert_close(factor.logits, both.factors[name].logits[1:], atol=1e-5, rtol=0)


def test_every_key_is_used_or_known_to_be_unused_and_written_back(
    net: StpNet, checkpoint: dict[str, Tensor]
) -> None:
    split = split_keys(checkpoint, net)
    assert (len(split.used), len(split.unused), len(split.unknown)) == (1132, 309, 0)
    written = published_stpnet(net)
    assert set(written) == set(split.used)
    assert all(torch.equal(value, checkpoint[name]) for name, value in written.items())


def test_losses_match_the_published_code(fill: ModuleType, shared_dir: Path) -> None:
    def normal(name: str, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(fill.normal(f"stpnet.losses.{name}", shape))

    probability = torch.sigmoid(normal("logits", (4, 1, 32, 32)))
    mask = normal("mask", (4, 1, 32, 32)) > 0.6
    vectors = torch.layer_norm(normal("image", (4, 768)), (768,)) * 0.05
    text = torch.layer_norm(normal("text", (8, 768)), (768,))
    found = {
        "weighted_bce": weighted_bce(probability, mask),
        "weighted_dice": weighted_dice(probability, mask),
        "dice_bce": 0.5 * weighted_bce(probability, mask) + 0.5 * weighted_dice(probability, mask),
        "focal": focal(normal("cls", (4, 8)), _LABELS),
        "retrieval": focal(vectors @ text.T * RETRIEVAL_SCALE, _LABELS),
    }
    expected = load_file(shared_dir / "reference" / "stpnet_losses.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.squeeze(), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_gradient_reaches_every_part(
    checkpoint: dict[str, Tensor], banks: dict[str, Tensor], image: Tensor
) -> None:
    net = load_published(checkpoint, banks).train()
    mask = image[:, :1] > 0.5
    loss = PaperStpNetObjective()(net(image), mask, torch.tensor([[0, 1, 2, 3], [1, 0, -1, 7]]))
    loss["total"].backward()
    without = [
        name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert without == []
