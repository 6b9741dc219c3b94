from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lexiseg.systems.stpnet.paper_network import FactorOutput, StpNetOutput
from lexiseg.systems.stpnet.paper_objective import (
    PaperStpNetObjective,
    focal,
    weighted_bce,
    weighted_dice,
)

_SCALE = math.log(1 / 0.07)


def test_weighted_bce_gives_both_kinds_of_pixel_half_the_weight() -> None:
    probability = torch.tensor([[0.5, 0.5, 0.5, 0.25]])
    mask = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    assert weighted_bce(probability, mask).item() == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(2))


def test_weighted_bce_averages_over_the_batch_not_per_image() -> None:
    # Positives: 0.5 and 0.5 in the first image, 0.125 in the second; no negatives at all in the first.
    probability = torch.tensor([[0.5, 0.5], [0.125, 0.5]])
    mask = torch.tensor([[1, 1], [1, 0]])
    positives = (2 * math.log(2) + math.log(8)) / 3
    assert weighted_bce(probability, mask).item() == pytest.approx(0.5 * positives + 0.5 * math.log(2))


@pytest.mark.parametrize("value", [0, 1])
def test_weighted_bce_of_a_mask_with_one_kind_of_pixel(value: int) -> None:
    loss = weighted_bce(torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), value))
    assert loss.item() == pytest.approx(0.5 * math.log(2))


def test_weighted_bce_has_finite_gradients_where_it_is_certain_and_wrong() -> None:
    probability = torch.tensor([[0.0, 1.0]], requires_grad=True)
    weighted_bce(probability, torch.tensor([[1.0, 0.0]])).backward()
    assert probability.grad is not None
    assert torch.isfinite(probability.grad).all()


def test_losses_work_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pair = torch.full((1, 4), 0.5, dtype=torch.bfloat16), torch.tensor([[1, 1, 0, 0]])
        losses = weighted_bce(*pair), weighted_dice(*pair)
    assert [loss.dtype for loss in losses] == [torch.float32, torch.float32]


def test_weighted_dice_has_squares_in_the_denominator_and_is_a_mean_over_images() -> None:
    probability = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # First image: 2 (0.25 * 0.5) / (2 * 0.0625 + 0.25), both halved; second: perfect.
    first = 1 - (0.25 + 1e-5) / (0.375 + 1e-5)
    assert weighted_dice(probability, mask).item() == pytest.approx(first / 2, abs=1e-6)


def test_weighted_dice_of_nothing_found_where_nothing_is() -> None:
    assert weighted_dice(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0.0


def test_weighted_dice_halves_both_sides_before_smoothing() -> None:
    # p = 0.01, nothing true: 1 - 1e-5 / (0.005^2 + 1e-5)
    loss = weighted_dice(torch.tensor([[0.01]]), torch.tensor([[0.0]]))
    assert loss.item() == pytest.approx(1 - 1e-5 / (0.005**2 + 1e-5), abs=1e-6)


def test_focal_takes_the_batch_mean_first() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # cross-entropies ln(4/3) and ln 2
    ce = (math.log(4 / 3) + math.log(2)) / 2
    expected = (1 - math.exp(-ce)) ** 2 * ce
    assert focal(logits, torch.tensor([0, 1])).item() == pytest.approx(expected)


def test_focal_leaves_unknown_labels_out() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [5.0, -5.0]])
    alone = focal(logits[:1], torch.tensor([0]))
    assert focal(logits, torch.tensor([0, -1])).item() == pytest.approx(alone.item())


def test_focal_is_zero_with_zero_gradients_if_nothing_is_known() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = focal(logits, torch.full((3,), -1))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros(3, 4))


def _output(logits: Tensor, head: Tensor, similarity: Tensor) -> StpNetOutput:
    factor = FactorOutput(
        logits=head, text=torch.zeros(2, 4), similarity=similarity, index=similarity.argmax(dim=1)
    )
    return StpNetOutput(
        logits=logits, image_embedding=torch.zeros(len(logits), 4), factors={"a": factor, "b": factor}
    )


def test_objective_adds_its_parts() -> None:
    logits, head, similarity = torch.randn(2, 1, 4, 4), torch.randn(2, 2), torch.randn(2, 2)
    mask = torch.rand(2, 1, 4, 4) > 0.5
    indices = torch.tensor([[0, 1], [1, -1]])
    parts = PaperStpNetObjective()(_output(logits, head, similarity), mask, indices)
    probability = torch.sigmoid(logits)
    expected = {
        "weighted_bce": weighted_bce(probability, mask),
        "weighted_dice": weighted_dice(probability, mask),
        "retrieval": sum(focal(similarity * _SCALE, indices[:, f]) for f in (0, 1)),
        "heads": sum(focal(head, indices[:, f]) for f in (0, 1)),
    }
    mask_losses = 0.5 * expected["weighted_bce"] + 0.5 * expected["weighted_dice"]
    total = mask_losses + expected["retrieval"] + expected["heads"]
    assert parts.keys() == expected.keys() | {"total"}
    for name, value in expected.items():
        assert parts[name].item() == pytest.approx(value.item(), rel=1e-5), name
    assert parts["total"].item() == pytest.approx(total.item(), rel=1e-5)


def test_objective_without_any_words_is_the_mask_alone() -> None:
    output = _output(torch.randn(2, 1, 4, 4), torch.randn(2, 2), torch.randn(2, 2))
    parts = PaperStpNetObjective()(output, torch.ones(2, 1, 4, 4), torch.full((2, 2), -1))
    assert parts["retrieval"].item() == parts["heads"].item() == 0.0


def test_objective_refuses_indices_of_other_factors() -> None:
    output = _output(torch.randn(2, 1, 4, 4), torch.randn(2, 2), torch.randn(2, 2))
    with pytest.raises(ValueError, match="shorter"):
        PaperStpNetObjective()(output, torch.ones(2, 1, 4, 4), torch.zeros(2, 1, dtype=torch.int64))
