"""A predicted mask against words, by hand and by what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from lexiseg.models.agreement_loss import AgreementLoss, foreground_logits
from lexiseg.words.description import UNKNOWN
from lexiseg.words.factor import Factor
from lexiseg.words.flips import flip
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
SURE = 8.0
LEFT, RIGHT = CHEST.factor("left"), CHEST.factor("right")


def mask(*boxes: tuple[int, int, int, int], size: int = 64) -> np.ndarray:
    """Return labels with boxes (top, bottom, left, right) of lesion."""
    labels = np.zeros((size, size), np.uint8)
    for top, bottom, left, right in boxes:
        labels[top:bottom, left:right] = 1
    return labels


def logits(labels: np.ndarray, sure: float = SURE) -> Tensor:
    return torch.from_numpy(np.where(labels > 0, sure, -sure)).float()[None, None]


def words(*indices: int) -> Tensor:
    return torch.tensor([indices])


def chest(left: str | None = None, right: str | None = None) -> Tensor:
    """Return words about the two lungs alone."""
    return words(
        UNKNOWN,
        UNKNOWN,
        UNKNOWN if left is None else LEFT.phrases.index(left),
        UNKNOWN if right is None else RIGHT.phrases.index(right),
    )


UPPER_LEFT = mask((8, 20, 8, 22))
BOTH = mask((8, 24, 8, 22), (36, 54, 40, 56))
MASKS = [UPPER_LEFT, BOTH, mask((10, 56, 6, 24), (10, 54, 40, 58)), mask((40, 56, 42, 58)), mask()]


@pytest.mark.parametrize("number", range(len(MASKS)))
def test_a_mask_that_fits_costs_next_to_nothing(number: int) -> None:
    loss = AgreementLoss(CHEST, side="image")
    said = measure_indices(MASKS[number], CHEST, side="image")
    assert loss(logits(MASKS[number]), words(*said)).item() < 0.05


def test_a_lesion_on_the_wrong_side_moves_to_the_right_one() -> None:
    loss = AgreementLoss(CHEST, side="image")
    said = chest("upper left lung", "no lesion in right lung")
    z = logits(np.ascontiguousarray(UPPER_LEFT[:, ::-1]), sure=3.0).requires_grad_()
    value = loss(z, said)
    first = value.item()
    assert first > 2
    value.backward()
    lesion = UPPER_LEFT[:, ::-1] > 0
    assert z.grad[0, 0].numpy()[lesion].sum() > 0  # a step against the gradient takes it away
    assert (z.grad[0, 0, :, 32:] >= 0).all()  # and adds nothing in the lung that is free
    assert z.grad[0, 0, :, :32].min() < 0  # but in the other one
    optimizer = torch.optim.Adam([z], lr=0.6)
    for _ in range(50):
        optimizer.zero_grad()
        value = loss(z, said)
        value.backward()
        optimizer.step()
    _, _, left, right = measure_indices((z.detach()[0, 0] > 0).numpy(), CHEST, side="image")
    assert LEFT.phrases[left].startswith("upper")
    assert RIGHT.phrases[right] == "no lesion in right lung"
    assert value.item() < 0.2 * first


def test_assertion_and_denial_by_hand() -> None:
    laterality = CHEST.only(("laterality",))
    loss = AgreementLoss(laterality, side="image")
    z, p = -1.0, 1 / (1 + math.e)
    flat = torch.full((1, 1, 32, 32), z)
    presence = math.log(1 + math.e)
    # bilateral: a lesion in each half
    assert loss(flat, words(0)).item() == pytest.approx(presence, abs=1e-5)
    # unilateral: a lesion in one half, and none in the other, which holds half of the mass
    share = 0.5 * p**2 / (p**2 + 0.005)
    denial = math.log(1 + math.exp(z)) - math.log(1 - share)
    assert loss(flat, words(1)).item() == pytest.approx((presence + denial) / 2, abs=1e-5)


def test_the_grid_by_hand() -> None:
    loss = AgreementLoss(POLYP.only(("location",)), side="image")
    centre = logits(mask((24, 40, 24, 40)), sure=30.0)
    assert loss(centre, words(4)).item() == pytest.approx(0, abs=1e-4)
    # "upper left" wants the centroid 0.3333 / 2 up and left of the middle; the lesion's presence costs 0
    assert loss(centre, words(0)).item() == pytest.approx(4 * 0.3333 / 2, abs=1e-3)


def test_the_size_by_hand() -> None:
    loss = AgreementLoss(POLYP.only(("size",)), side="image")
    small = logits(mask((0, 8, 0, 8)), sure=30.0)  # 64 of 4,096 pixels
    assert loss(small, words(0)).item() == pytest.approx(0, abs=1e-4)
    lacking = math.log(0.15 + 1e-4) - math.log(64 / 4096 + 1e-4)
    assert loss(small, words(2)).item() == pytest.approx(lacking / 2, abs=1e-3)
    large = logits(mask((0, 64, 0, 32)), sure=30.0)
    too_much = math.log(0.5 + 1e-4) - math.log(0.05 + 1e-4)
    assert loss(large, words(0)).item() == pytest.approx(too_much / 2, abs=1e-3)


@pytest.mark.parametrize("said", [chest("lower left lung", "no lesion in right lung"), words(0, 1, 6, 6)])
def test_the_resolution_does_not_matter(said: Tensor) -> None:
    loss = AgreementLoss(CHEST, side="image")
    coarse = logits(BOTH, sure=2.0)
    fine = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert loss(fine, said).item() == pytest.approx(loss(coarse, said).item(), rel=0.03)


@pytest.mark.parametrize("number", range(len(MASKS)))
def test_mirrored_predictions_fit_mirrored_words_as_well(number: int) -> None:
    loss = AgreementLoss(CHEST, side="image")
    torch.manual_seed(number)
    z = logits(MASKS[number], sure=2.0) + torch.randn(1, 1, 64, 64)
    for said in ((1, 1, 0, 7), (0, 1, 3, 5), (UNKNOWN, 0, 7, 2)):
        mirrored = words(*flip(CHEST, said, "horizontal"))
        expected = loss(z, words(*said)).item()
        assert loss(z.flip(3), mirrored).item() == pytest.approx(expected, rel=1e-4)
        # words of the patient's side are those of the mirrored image
        assert AgreementLoss(CHEST, side="patient")(z, mirrored).item() == pytest.approx(expected, rel=1e-4)


def test_each_image_counts_by_itself() -> None:
    loss = AgreementLoss(CHEST, side="image")
    a, b = logits(UPPER_LEFT, sure=1.0), logits(BOTH, sure=2.0)
    said_a, said_b = words(1, 0, 2, 7), words(0, 1, 1, UNKNOWN)
    both = loss(torch.cat([a, b]), torch.cat([said_a, said_b])).item()
    alone = [loss(a, said_a).item(), loss(b, said_b).item()]
    assert both == pytest.approx(sum(alone) / 2, rel=1e-5)
    nothing = words(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    with_silence = loss(torch.cat([a, b, b]), torch.cat([said_a, said_b, nothing])).item()
    assert with_silence == pytest.approx(both, rel=1e-5)


def test_where_nothing_is_known_nothing_is_learned() -> None:
    z = logits(BOTH).requires_grad_()
    value = AgreementLoss(CHEST, side="image")(z, words(*[UNKNOWN] * 4))
    value.backward()
    assert value.item() == 0
    assert z.grad.abs().max() == 0


@pytest.mark.parametrize("level", [-200.0, -20.0, 0.0, 200.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_predictions_stay_finite(level: float, dtype: torch.dtype) -> None:
    for vocabulary, said in ((CHEST, words(1, 0, 3, 7)), (POLYP, words(0, 0, 1, 2, 3))):
        z = torch.full((1, 1, 32, 32), level, dtype=dtype, requires_grad=True)
        value = AgreementLoss(vocabulary, side="image")(z, said)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(z.grad).all()


def test_all_classes_together_are_the_lesion() -> None:
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = 1 - scores.softmax(dim=1)[:, 0]
    torch.testing.assert_close(foreground_logits(scores).sigmoid(), expected)
    assert torch.equal(foreground_logits(scores[:, :1]), scores[:, 0])
    loss = AgreementLoss(CHEST, side="image")
    z = logits(BOTH, sure=2.0)
    # two classes with equal scores s: log(2 exp(s)) - 0 = z
    classes = torch.cat([torch.zeros_like(z), z - math.log(2), z - math.log(2)], dim=1)
    said = words(0, 1, 4, 7)
    assert loss(classes, said).item() == pytest.approx(loss(z, said).item(), rel=1e-4)


def test_a_region_that_only_reaches_over_the_midline_is_not_denied() -> None:
    loss = AgreementLoss(CHEST, side="image")
    said = chest(None, "no lesion in right lung")
    over = mask((20, 40, 12, 34))  # 2 of 22 columns lie on the right
    assert measure_indices(over, CHEST, side="image")[3] == said[0, 3]
    assert loss(logits(over), said).item() < 0.05
    assert loss(logits(mask((20, 40, 22, 44))), said).item() > 2


def test_words_that_cannot_be_measured_assert_no_lesion() -> None:
    """They may be "No finding."."""
    factor = Factor(name="sentence", title="Sentence", phrases=("a nodule", "no finding"))
    sheet = CHEST.model_copy(update={"factors": (factor,)})
    assert AgreementLoss(sheet, side="image")(logits(mask()), words(1)).item() == 0


def test_what_cannot_be_measured_is_listed() -> None:
    assert AgreementLoss(CHEST, side="image").skipped == ("Infected areas",)
    assert AgreementLoss(POLYP, side="image").skipped == ("Number", "Shape", "Colour")
    # words about such factors say that there is a lesion, nothing more
    z = torch.full((1, 1, 16, 16), -1.0)
    value = AgreementLoss(POLYP, side="image")(z, words(0, UNKNOWN, 1, UNKNOWN, 2)).item()
    assert value == pytest.approx(softplus(torch.tensor(1.0)).item(), rel=1e-5)
