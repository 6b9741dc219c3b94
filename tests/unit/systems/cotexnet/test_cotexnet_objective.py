from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lexiseg.systems.cotexnet.paper_network import CoTexNetTrainingOutput
from lexiseg.systems.cotexnet.paper_objective import PaperCoTexNetObjective, dice_loss, mask_cross_entropy


def _taught(logits: Tensor, distillation: float = 0.0) -> CoTexNetTrainingOutput:
    return CoTexNetTrainingOutput(
        logits=logits,
        image_embedding=torch.zeros(len(logits), 2),
        text_embedding=torch.zeros(len(logits), 2),
        distillation=torch.tensor(distillation),
    )


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_dice_is_the_mean_over_images_and_channels() -> None:
    probability = torch.tensor([[[[0.5, 0.5]], [[1.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 1.0]]]])
    truth = torch.tensor([[[[1, 0]], [[1, 0]]], [[[0, 0]], [[1, 0]]]])
    # 1 - 2 * 0.5 / (1 + 1); perfect; nothing where nothing is; wrong
    assert dice_loss(probability, truth).item() == pytest.approx((0.5 + 0 + 0 + 1) / 4, abs=1e-4)


def test_dice_is_smoothed_above_and_below() -> None:
    loss = dice_loss(torch.full((1, 1, 1, 1), 1e-5), torch.zeros(1, 1, 1, 1))
    assert loss.item() == pytest.approx(0.5, rel=1e-4)


def test_cross_entropy_of_one_channel() -> None:
    logits = torch.tensor([[[[_logit(0.8), _logit(0.3)]]]])
    labels = torch.tensor([[[[2, 0]]]])
    expected = (-math.log(0.8) - math.log(0.7)) / 2
    assert mask_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_of_several_channels_is_that_of_the_softmax() -> None:
    logits = torch.tensor([0.0, math.log(3.0), 0.0]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    labels = torch.tensor([[[[1, 2]]]])
    expected = (-math.log(3 / 5) - math.log(1 / 5)) / 2
    assert mask_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_objective_of_a_binary_mask_takes_any_label_as_lesion() -> None:
    parts = PaperCoTexNetObjective()(
        _taught(torch.tensor([[[[_logit(0.75), _logit(0.5)]]]]), 0.03), torch.tensor([[[[2, 0]]]])
    )
    dice, ce = 1 - 2 * 0.75 / 2.25, (-math.log(0.75) - math.log(0.5)) / 2
    assert parts["dice"].item() == pytest.approx(dice, abs=1e-5)
    assert parts["cross_entropy"].item() == pytest.approx(ce, rel=1e-5)
    assert parts["distillation"].item() == pytest.approx(0.03)
    assert parts["total"].item() == pytest.approx(dice + ce + 0.3, abs=1e-5)


def test_objective_of_several_classes_has_dice_of_sigmoids_with_the_background() -> None:
    logits = torch.tensor([0.0, _logit(0.75), 0.0]).view(1, 3, 1, 1)
    parts = PaperCoTexNetObjective()(_taught(logits), torch.ones(1, 1, 1, 1, dtype=torch.uint8))
    # Channels: 0.5 where nothing is (loss 1), 0.75 of 1, 0.5 where nothing is.
    assert parts["dice"].item() == pytest.approx((1 + (1 - 1.5 / 1.75) + 1) / 3, abs=1e-4)
    assert parts["cross_entropy"].item() == pytest.approx(-math.log(3 / 5), rel=1e-5)


def test_reference_compat_takes_probabilities_for_logits_in_the_cross_entropy_alone() -> None:
    logits, labels = torch.tensor([[[[_logit(0.75), _logit(0.5)]]]]), torch.tensor([[[[1, 0]]]])
    right, wrong = (
        PaperCoTexNetObjective()(_taught(logits), labels),
        PaperCoTexNetObjective(reference_compat=True)(_taught(logits), labels),
    )
    # -ln sigmoid(0.75), -ln(1 - sigmoid(0.5))
    expected = (math.log(1 + math.exp(-0.75)) + math.log(1 + math.exp(0.5))) / 2
    assert wrong["cross_entropy"].item() == pytest.approx(expected, rel=1e-5)
    assert wrong["dice"].item() == right["dice"].item()
    assert wrong["total"].item() == pytest.approx(wrong["dice"].item() + expected, rel=1e-5)


def test_reference_compat_of_several_classes() -> None:
    logits = torch.tensor([0.0, _logit(0.75), 0.0]).view(1, 3, 1, 1)
    parts = PaperCoTexNetObjective(reference_compat=True)(
        _taught(logits), torch.ones(1, 1, 1, 1, dtype=torch.int64)
    )
    expected = -math.log(math.exp(0.75) / (math.exp(0.75) + 2 * math.exp(0.5)))
    assert parts["cross_entropy"].item() == pytest.approx(expected, rel=1e-5)


def test_a_perfect_mask_costs_nothing_except_as_published() -> None:
    logits, labels = torch.tensor([[[[50.0, -50.0]]]]), torch.tensor([[[[1, 0]]]])
    assert PaperCoTexNetObjective()(_taught(logits), labels)["total"].item() == pytest.approx(0, abs=1e-5)
    published = PaperCoTexNetObjective(reference_compat=True)(_taught(logits), labels)["total"].item()
    assert published == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2, rel=1e-4)


def test_losses_work_in_half_precision() -> None:
    parts = PaperCoTexNetObjective()(_taught(torch.randn(1, 3, 4, 4).bfloat16()), torch.ones(1, 1, 4, 4))
    assert all(part.dtype == torch.float32 for part in parts.values())
