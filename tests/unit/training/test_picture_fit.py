"""Training pictures: what is padded does not count, windows find lesions, and words stay true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lexiseg.models.losses import CompactObjective, mask_losses
from lexiseg.models.plain_network import PlainOutput
from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.inputs.batch import Batch, collate
from lexiseg.training.inputs.examples import PlainExamples, TrainingExamples, Words
from lexiseg.training.inputs.picture_fit import PictureFit, random_window, words_of_part
from lexiseg.training.steps.progressive_resizing import shrink
from lexiseg.training.steps.segmentation_module import case_dice
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import load_vocabulary
from lexiseg.words.zones import whole_image_factors

CHEST, POLYP = load_vocabulary("chest"), load_vocabulary("polyp")
STILL = AugmentConfig(horizontal_flip=0, vertical_flip=0, affine=0, gamma=0, brightness=0)
PAD, TILES = PictureFit(fit="pad", side=64), PictureFit(fit="tiles", side=64)


def case(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return an image whose lesion lies in the lower left, and its labels."""
    labels = np.zeros(size, np.uint8)
    labels[size[0] * 6 // 10 : size[0] * 8 // 10, size[1] // 8 : size[1] // 3] = 1
    return (200 * labels + 20)[..., None], labels


def concepts(labels: np.ndarray) -> Words:
    indices = measure_indices(labels, CHEST, side="image")
    return Words(CHEST, [indices], source="concepts", side="image")


@pytest.mark.parametrize("logits_channels", [1, 3])
def test_losses_see_nothing_outside(logits_channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, logits_channels, 8, 8, generator=generator)
    labels = torch.randint(0, max(2, logits_channels), (2, 1, 8, 8), generator=generator)
    inside = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    inside[:, :, 2:6, 1:7] = True
    cropped = mask_losses(logits[..., 2:6, 1:7], labels[..., 2:6, 1:7])
    padded = mask_losses(logits, labels * inside, inside)
    for name, value in cropped.items():
        assert float(padded[name]) == pytest.approx(float(value), rel=1e-5)
    objective = CompactObjective(retrieval_weight=1.0)(
        PlainOutput(logits=logits), labels * inside, labels, inside=inside
    )
    assert float(objective["total"]) == pytest.approx(sum(float(value) for value in cropped.values()))


def test_dice_sees_nothing_outside() -> None:
    logits = torch.ones(1, 1, 4, 4)
    labels, inside = torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    inside[..., :2, :] = True
    labels[..., 0, :] = 1  # 4 of the 8 pixels inside
    assert case_dice(logits, labels, inside).tolist() == pytest.approx([2 * 4 / (8 + 4)])


def test_a_padded_example() -> None:
    image, labels = PAD.resized(*case((200, 100)))
    assert image.shape == (64, 32, 1)
    one = TrainingExamples([(image, labels)], concepts(labels), augment=STILL, seed=0, fit=PAD)[0, 0]
    assert one.inside.shape == one.labels.shape == (1, 64, 64)
    assert one.inside[0, :, 16:48].all()
    assert one.inside.sum() == 64 * 32
    assert not one.image[0][one.inside[0] == 0].any()
    assert np.array_equal(one.labels[0, :, 16:48].numpy(), labels)
    assert one.indices.tolist() == list(measure_indices(labels, CHEST, side="image"))


@pytest.mark.parametrize("fit", [PAD, TILES])
@pytest.mark.parametrize("size", [(200, 100), (90, 300)])
def test_words_follow_every_random_change(fit: PictureFit, size: tuple[int, int]) -> None:
    """What a padded picture shows inside measures as its words say; a window knows no place."""
    image, labels = fit.resized(*case(size))
    assert labels is not None
    augment = AugmentConfig(horizontal_flip=0.5, affine=0.9, max_shift=0.05)
    examples = TrainingExamples([(image, labels)], concepts(labels), augment=augment, seed=3, fit=fit)
    overviews = windows = 0
    for drawn in range(24):
        one = examples[drawn, 0]
        inside = one.inside[0].numpy() > 0
        shown = one.labels[0].numpy()[np.ix_(inside.any(axis=1), inside.any(axis=0))]
        if all(index == UNKNOWN for index in one.indices.tolist()):
            windows += 1
            assert fit is TILES
            continue
        overviews += 1
        assert tuple(one.indices.tolist()) == measure_indices(shown, CHEST, side="image")
        longest = max(shown.shape)
        assert longest == 64
    assert windows == 0 if fit is PAD else windows > overviews > 0


def test_without_words_every_picture_is_a_window() -> None:
    image, labels = case((200, 100))
    examples = TrainingExamples([(image, labels)], None, augment=STILL, seed=0, fit=TILES)
    assert all(examples[drawn, 0].inside.all() for drawn in range(10))
    assert {int(examples[drawn, 0].image.max()) for drawn in range(30)} == {20, 220}


def test_windows_find_lesions() -> None:
    labels = np.zeros((500, 700), np.uint8)
    labels[3:6, 690:699] = 1  # 27 of 350,000 pixels, near a corner
    rng = np.random.default_rng(0)
    boxes = [random_window(labels, 64, rng) for _ in range(300)]
    for box in boxes:
        assert (box.height, box.width) == (64, 64)
        assert 0 <= box.top <= 500 - 64
        assert 0 <= box.left <= 700 - 64
    found = np.mean([labels[box.place].any() for box in boxes])
    assert 0.6 < found < 0.76
    others = [box for box in boxes if not labels[box.place].any()]
    assert np.std([box.top for box in others]) > 80  # anywhere
    small = random_window(labels[:40, :50], 64, rng)
    assert small == (0, 0, 40, 50)


def test_windows_lie_at_every_place_around_a_lesion() -> None:
    labels = np.zeros((300, 300), np.uint8)
    labels[150, 150] = 1
    rng = np.random.default_rng(1)
    tops = [
        box.top for box in (random_window(labels, 64, rng) for _ in range(400)) if labels[box.place].any()
    ]
    assert min(tops) < 95
    assert max(tops) > 142
    assert all(87 <= top <= 150 for top in tops)


def test_words_of_a_part() -> None:
    image = np.full((20, 20, 3), (200, 60, 60), np.uint8)
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 1
    whole = (0,) * len(POLYP.factors)
    about_whole = whole_image_factors(POLYP)
    stated = words_of_part(whole, POLYP, "reports", image, labels)
    assert stated == tuple(UNKNOWN if about else 0 for about in about_whole)
    again = words_of_part(whole, POLYP, "concepts", image, labels)
    measured = measure_indices(labels, POLYP, image=image)
    assert again == tuple(
        UNKNOWN if about else index for about, index in zip(about_whole, measured, strict=True)
    )
    nothing = words_of_part(whole, POLYP, "reports", image, np.zeros((20, 20), np.uint8))
    assert set(nothing) == {UNKNOWN}


def test_validation_examples_hold_the_whole_image() -> None:
    image, labels = case((200, 100))
    examples = PlainExamples([(image, labels), (image[:90], labels[:90])], None, TILES)
    assert examples.pictures_per_case == 1 + 4 * 2
    batch: Any = collate([examples[0], examples[1]])
    assert [tuple(whole.shape) for whole in batch.whole] == [(1, 200, 100), (1, 90, 100)]
    assert np.array_equal(batch.truth[0].numpy(), labels)
    assert batch.image.shape == (2, 3, 64, 64)
    assert batch.inside.float().mean(dim=(1, 2, 3)).tolist() == [0.5, pytest.approx(58 / 64, abs=0.02)]
    assert PlainExamples([PAD.resized(image, labels)], None, PAD).pictures_per_case == 1


def test_inside_shrinks_with_the_labels() -> None:
    inside = torch.zeros(1, 1, 224, 224, dtype=torch.uint8)
    inside[..., :112] = 1
    batch = Batch(
        torch.zeros(1, 3, 224, 224), labels=inside, inside=inside,
        indices=torch.zeros(1, 0, dtype=torch.int64), masked=torch.tensor([True]),
    )  # fmt: skip
    small = shrink(batch, 160)
    assert small.inside is not None
    assert small.inside.shape == (1, 1, 160, 160)
    assert torch.equal(small.inside, small.labels)
    assert small.inside[..., :80].all()
    assert not small.inside[..., 80:].any()
