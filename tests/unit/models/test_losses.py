from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lexiseg.models.losses import CompactObjective, mask_losses, retrieval_loss, soft_dice_loss
from lexiseg.systems.stpnet.compact_network import CompactStpNetOutput


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_soft_dice_by_hand() -> None:
    probability = torch.tensor([[[[0.5, 1.0], [0.0, 0.25]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    truth = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    # first: (2 * 1.5 + 1) / (1.75 + 2 + 1); second, both empty: 0
    first = 1 - (2 * 1.5 + 1) / (1.75 + 2 + 1)
    assert soft_dice_loss(probability, truth).item() == pytest.approx(first / 2)


def test_binary_losses_by_hand() -> None:
    logits = torch.tensor([[[[logit(0.8), logit(0.3)]]]])
    labels = torch.tensor([[[[2, 0]]]], dtype=torch.uint8)  # every label above 0 is foreground
    losses = mask_losses(logits, labels)
    assert losses["cross_entropy"].item() == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2)
    assert losses["dice"].item() == pytest.approx(1 - (2 * 0.8 + 1) / (1.1 + 1 + 1), abs=1e-6)


def test_losses_of_several_classes_by_hand() -> None:
    # one image, two pixels, three classes with probabilities (.5, .25, .25) and (.1, .1, .8)
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    logits = probability.log().T.reshape(1, 3, 1, 2)
    labels = torch.tensor([[[[0, 2]]]], dtype=torch.uint8)
    losses = mask_losses(logits, labels)
    assert losses["cross_entropy"].item() == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    one = 1 - 1 / (0.35 + 1)  # class 1: nothing is true
    two = 1 - (2 * 0.8 + 1) / (1.05 + 1 + 1)
    assert losses["dice"].item() == pytest.approx((one + two) / 2, abs=1e-6)


def scores(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).log()


def test_retrieval_by_hand_with_unknown_left_out() -> None:
    retrieval = {
        "count": scores([0.5, 0.5], [0.9, 0.1], [0.2, 0.8]),
        "left": scores([0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
    }
    indices = torch.tensor([[0, -1], [-1, 2], [1, -1]])
    count = -(math.log(0.5) + math.log(0.8)) / 2
    left = -math.log(0.5)
    assert retrieval_loss(retrieval, indices).item() == pytest.approx((count + left) / 2)


def test_unknown_gives_no_gradient() -> None:
    value = torch.zeros(2, 3, requires_grad=True)
    retrieval_loss({"left": value}, torch.tensor([[1], [-1]])).backward()
    assert value.grad[0].abs().sum() > 0
    assert value.grad[1].abs().sum() == 0


def test_nothing_known_costs_nothing() -> None:
    loss = retrieval_loss({"left": torch.randn(2, 3)}, torch.full((2, 1), -1))
    assert loss.item() == 0


def test_total_is_the_weighted_sum() -> None:
    logits, labels = torch.randn(2, 1, 4, 4), torch.randint(0, 2, (2, 1, 4, 4))
    output = CompactStpNetOutput(
        logits=logits, retrieval={"count": scores([0.5, 0.5], [0.9, 0.1])}, attention=None
    )
    parts = CompactObjective(retrieval_weight=0.25)(output, labels, torch.tensor([[0], [1]]))
    assert list(parts) == ["cross_entropy", "dice", "retrieval", "total"]
    expected = parts["cross_entropy"] + parts["dice"] + 0.25 * parts["retrieval"]
    torch.testing.assert_close(parts["total"], expected)


def test_mask_losses_are_over_images_with_mask_and_words_over_all() -> None:
    generator = torch.Generator().manual_seed(0)
    output = CompactStpNetOutput(
        logits=torch.randn(3, 1, 4, 4, generator=generator),
        retrieval={"count": torch.randn(3, 2, generator=generator)},
        attention=None,
    )
    labels, indices = torch.ones(3, 1, 4, 4, dtype=torch.uint8), torch.tensor([[0], [1], [1]])
    masked = torch.tensor([True, False, True])
    objective = CompactObjective(retrieval_weight=0.5)
    parts = objective(output, labels, indices, masked)
    shown = mask_losses(output.logits[masked], labels[masked])
    assert parts["dice"].item() == pytest.approx(shown["dice"].item())
    assert parts["cross_entropy"].item() == pytest.approx(shown["cross_entropy"].item())
    assert parts["retrieval"].item() == pytest.approx(retrieval_loss(output.retrieval, indices).item())
    # what stands in the place of a mask that is not there changes nothing
    labels[1] = 0
    assert objective(output, labels, indices, masked)["total"].item() == pytest.approx(parts["total"].item())
