from __future__ import annotations

import math

import pytest
import torch

from lexiseg.models.losses import mask_losses, soft_label_loss


def test_certain_labels_give_the_losses_of_a_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    for classes in (1, 3):
        logits = torch.randn(2, classes, 8, 8, generator=generator)
        labels = torch.randint(0, max(2, classes), (2, 1, 8, 8), generator=generator)
        kinds = range(1, max(2, classes))
        wanted = torch.cat([(labels == kind).float() for kind in kinds], dim=1)
        expected = mask_losses(logits, labels)
        found = soft_label_loss(logits, wanted, torch.ones(2))
        assert found.item() == pytest.approx(float(expected["cross_entropy"] + expected["dice"]), abs=1e-5)


def test_the_loss_is_smallest_at_the_soft_label() -> None:
    wanted = torch.full((1, 1, 4, 4), 0.3)
    at = {
        p: soft_label_loss(torch.full((1, 1, 4, 4), p).logit(), wanted, torch.ones(1)).item()
        for p in (0.2, 0.3, 0.4)
    }
    assert min(at, key=at.__getitem__) == 0.3
    # The entropy of the label remains, and nothing of the Dice loss.
    assert at[0.3] == pytest.approx(-0.3 * math.log(0.3) - 0.7 * math.log(0.7), abs=1e-5)


def test_images_that_count_little_leave_a_small_loss() -> None:
    logits, wanted = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    one = soft_label_loss(logits[:1], wanted[:1], torch.ones(1))
    assert soft_label_loss(logits, wanted, torch.tensor([1.0, 0.0])).item() == pytest.approx(one.item() / 2)
