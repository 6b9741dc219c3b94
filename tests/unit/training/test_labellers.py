from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lexiseg.data.sample import Sample
from lexiseg.training.few_masks.labeller_masks import (
    LabellerMasks,
    fit_shift,
    probability_of,
    shift_foreground,
)
from lexiseg.training.few_masks.labellers import fold_numbers
from lexiseg.training.few_masks.pseudo_labelling import shifted_dice, weight_sentence
from lexiseg.training.soft_masks import half_size_bytes
from lexiseg.words.zone_correction import mask_dice


def sample(number: int, *, patient: str | None = None, mask: bool = True) -> Sample:
    return Sample(
        id=f"i{number}",
        image=Path(f"{number}.png"),
        mask=Path("m.png") if mask else None,
        split="train",
        patient=patient,
    )


def test_parts_are_equally_large_and_patients_stay_together() -> None:
    samples = [sample(n, patient=f"p{n // 4}", mask=n % 5 > 0) for n in range(60)]
    folds = fold_numbers(samples, seed=0)
    assert [fold is None for fold in folds] == [s.mask is None for s in samples]
    sizes = Counter(fold for fold in folds if fold is not None)
    assert sorted(sizes) == [0, 1, 2]
    assert max(sizes.values()) - min(sizes.values()) <= 4
    of_patient = {(s.patient, fold) for s, fold in zip(samples, folds, strict=True) if fold is not None}
    assert len(of_patient) == len({s.patient for s in samples})


def test_parts_depend_on_the_seed_and_not_on_the_order() -> None:
    samples = [sample(n) for n in range(30)]
    folds = fold_numbers(samples, seed=0)
    assert fold_numbers(samples[::-1], seed=0) == folds[::-1]
    assert fold_numbers(samples, seed=1) != folds


class Left(nn.Module):
    """Gives the score 2 to the left half of what it sees, and adds the mean of the image."""

    def forward(self, image: Tensor) -> Any:
        scores = torch.zeros(len(image), 1, *image.shape[-2:])
        scores[..., : image.shape[-1] // 2] = 2.0
        return SimpleNamespace(logits=scores + image.mean(dim=(1, 2, 3), keepdim=True))


def masks(*networks: nn.Module, mirror: bool) -> LabellerMasks:
    return LabellerMasks(
        networks=networks, mean=(0, 0, 0), std=(1, 1, 1), mirror=mirror, device=torch.device("cpu")
    )


def test_masks_are_averaged_over_mirror_and_labellers() -> None:
    image = np.zeros((2, 4, 1), np.uint8)
    (alone,) = masks(Left(), mirror=False).scores([image], None)
    assert alone[0, 0].tolist() == pytest.approx([2, 2, 0, 0], abs=1e-5)
    (both,) = masks(Left(), mirror=True).scores([image], None)
    mean = (1 / (1 + math.exp(-2)) + 0.5) / 2
    assert both[0, 0].tolist() == pytest.approx([math.log(mean / (1 - mean))] * 4, abs=1e-5)

    class Nothing(nn.Module):
        def forward(self, image: Tensor) -> Any:
            return SimpleNamespace(logits=torch.zeros(len(image), 1, *image.shape[-2:]))

    (two,) = masks(Left(), Nothing(), mirror=False).scores([image], None)
    assert two[0, 0].tolist() == pytest.approx([math.log(mean / (1 - mean))] * 2 + [0, 0], abs=1e-5)


def test_scores_are_shifted_until_masks_are_as_large_as_true_ones() -> None:
    one = np.zeros((1, 2, 2), np.float32)
    assert fit_shift([one], 0.5) == pytest.approx(0, abs=0.01)
    assert fit_shift([one], 1 / (1 + math.exp(1))) == pytest.approx(-1, abs=0.01)
    assert (shift_foreground(one, 0.5) == 0.5).all()
    several = np.log(np.full((3, 1, 1), 1 / 3, np.float32))
    moved = probability_of(shift_foreground(several, math.log(2)))
    assert moved[:, 0, 0].tolist() == pytest.approx([0.4, 0.4])  # 2 : 2 against 1 of the background
    assert fit_shift([several], 0.8) == pytest.approx(math.log(2), abs=0.01)


def test_pseudo_labels_are_stored_at_half_the_size() -> None:
    probability = np.zeros((1, 2, 4), np.float32)
    probability[0, 0, 0], probability[0, :, 2:] = 1.0, 0.5
    assert half_size_bytes(probability).tolist() == [[[64, 128]]]


def test_the_check_scores_the_masks_that_are_drawn() -> None:
    # Unshifted, the mask is the first pixel of the two that are lesion: a Dice of 2/3.
    logits = np.array([[[2.0, -0.5, -6.0, -6.0]]], np.float32)
    labels = np.array([[1, 1, 0, 0]], np.uint8)
    assert mask_dice(logits, labels) == pytest.approx(2 / 3)
    shift, dice = shifted_dice([labels, labels], [logits, logits])
    assert shift == fit_shift([logits], 0.5)
    assert 0.5 < shift < 4  # half of the pixels are lesion, and the second one is found from 0.5 on
    assert dice.tolist() == [1, 1]


def test_pseudo_labels_that_hardly_teach_are_warned_of() -> None:
    assert weight_sentence(0.05) == "Pseudo labels: mean weight 0.050 (1: all fit their words)."
    warned = weight_sentence(0.0499)
    assert "They hardly teach" in warned
    assert "--unmasked leave_out" in warned
