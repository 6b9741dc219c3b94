from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lexiseg.data import DatasetIndex
from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.inputs.batch import Example, collate
from lexiseg.training.inputs.examples import (
    PlainExamples,
    TrainingExamples,
    Words,
    example,
    words_after_exposure,
)
from lexiseg.training.inputs.sample_cache import DecodedSamples
from lexiseg.training.text_source import WordSource
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
STILL = AugmentConfig(horizontal_flip=0, vertical_flip=0, affine=0, gamma=0, brightness=0)


@pytest.fixture(scope="module")
def pixels(index: DatasetIndex) -> DecodedSamples:
    return DecodedSamples(index.split("train"), index.coding, size=64)


@pytest.fixture(scope="module")
def reports(index: DatasetIndex) -> Words:
    return WordSource("reports").words(index, "train", CHEST, side="image")[0]


@pytest.fixture(scope="module")
def concepts(index: DatasetIndex) -> Words:
    return WordSource("concepts").words(index, "train", CHEST, side="image")[0]


def same(a: Example, b: Example) -> bool:
    return all(
        torch.equal(*parts) for parts in ((a.image, b.image), (a.labels, b.labels), (a.indices, b.indices))
    )


def test_an_example_is_a_function_of_its_key(pixels: DecodedSamples, reports: Words) -> None:
    make = lambda seed: TrainingExamples(pixels, reports, augment=AugmentConfig(), seed=seed)  # noqa: E731
    examples, again = make(0), make(0)
    keys = [(0, 3), (1, 3), (0, 4)]
    first = {key: examples[key] for key in keys}
    assert all(same(again[key], first[key]) for key in reversed(keys))
    assert not same(first[0, 3], first[1, 3])
    assert not same(make(1)[0, 3], first[0, 3])
    assert len(examples) == 16


def test_every_position_has_changes_of_its_own() -> None:
    image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64, 1)
    twice = [(image, image[..., 0])] * 2
    examples = TrainingExamples(twice, None, augment=AugmentConfig(), seed=0)
    assert not same(examples[0, 0], examples[0, 1])


def test_shapes_and_types(pixels: DecodedSamples, reports: Words) -> None:
    one = TrainingExamples(pixels, reports, augment=AugmentConfig(), seed=0)[0, 0]
    assert (one.image.shape, one.image.dtype) == ((1, 64, 64), torch.uint8)
    assert (one.labels.shape, one.labels.dtype) == ((1, 64, 64), torch.uint8)
    assert (one.indices.shape, one.indices.dtype) == ((4,), torch.int64)


def test_a_mirrored_example_has_mirrored_words(pixels: DecodedSamples, concepts: Words) -> None:
    mirror = STILL.model_copy(update={"horizontal_flip": 1.0})
    examples = TrainingExamples(pixels, concepts, augment=mirror, seed=0)
    for position in range(len(pixels)):
        image, labels = pixels[position]
        mirrored = examples[0, position]
        assert np.array_equal(mirrored.labels[0].numpy(), labels[:, ::-1])
        assert np.array_equal(mirrored.image[0].numpy(), image[:, ::-1, 0])
        indices = tuple(mirrored.indices.tolist())
        assert indices == flip(CHEST, concepts.indices[position], "horizontal")
        # what is said of the mirrored mask is what measuring it says
        assert indices == measure_indices(mirrored.labels[0].numpy(), CHEST, side="image")


def test_flips_change_the_words_of_reports_too(pixels: DecodedSamples, reports: Words) -> None:
    examples = TrainingExamples(
        pixels, reports, augment=STILL.model_copy(update={"horizontal_flip": 1.0}), seed=0
    )
    for position in range(len(pixels)):
        expected = flip(CHEST, reports.indices[position], "horizontal")
        assert tuple(examples[0, position].indices.tolist()) == expected


@pytest.mark.parametrize("source", ["reports", "concepts"])
def test_words_of_shifted_images_are_true_or_unknown(
    pixels: DecodedSamples, reports: Words, concepts: Words, source: str
) -> None:
    words = reports if source == "reports" else concepts
    wild = AugmentConfig(horizontal_flip=0, affine=1, max_angle_deg=40, max_scale=0.4, max_shift=0.3)
    examples = TrainingExamples(pixels, words, augment=wild, seed=0)
    unknown = 0
    for position in range(len(pixels)):
        moved = examples[0, position]
        measured = measure_indices(moved.labels[0].numpy(), CHEST, side="image")
        before = measure_indices(pixels[position][1], CHEST, side="image")
        for index, said, was, now in zip(
            moved.indices.tolist(), words.indices[position], before, measured, strict=True
        ):
            expected = now if source == "concepts" else said if was == now else UNKNOWN
            assert index == expected
            unknown += index == UNKNOWN
    assert (unknown > 0) == (source == "reports")


def test_words_of_deformed_images_are_true_or_unknown(
    pixels: DecodedSamples, reports: Words, concepts: Words
) -> None:
    bent = STILL.model_copy(update={"elastic": 1.0, "max_displacement": 0.04})
    for words in (reports, concepts):
        examples = TrainingExamples(pixels, words, augment=bent, seed=0)
        for position in range(len(pixels)):
            moved = examples[0, position]
            assert not np.array_equal(moved.image[0].numpy(), pixels[position][0][..., 0])
            measured = measure_indices(moved.labels[0].numpy(), CHEST, side="image")
            before = measure_indices(pixels[position][1], CHEST, side="image")
            for index, said, was, now in zip(
                moved.indices.tolist(), words.indices[position], before, measured, strict=True
            ):
                assert index == (now if words is concepts else said if was == now else UNKNOWN)


def test_what_is_off_changes_no_random_draw(pixels: DecodedSamples, reports: Words) -> None:
    usual = AugmentConfig()
    off = AugmentConfig(elastic=0, max_displacement=0.04, noise=0, max_noise=0.5, cutout=0, max_cutout=1)
    one, other = (TrainingExamples(pixels, reports, augment=a, seed=3) for a in (usual, off))
    assert all(same(one[turn, 5], other[turn, 5]) for turn in range(20))


def test_noise_and_cutout_change_the_image_alone(pixels: DecodedSamples, reports: Words) -> None:
    for name in ("noise", "cutout"):
        examples = TrainingExamples(pixels, reports, augment=STILL.model_copy(update={name: 1.0}), seed=0)
        again = TrainingExamples(pixels, reports, augment=STILL.model_copy(update={name: 1.0}), seed=0)
        changed = 0
        for position in range(len(pixels)):
            image, labels = pixels[position]
            one = examples[0, position]
            changed += not np.array_equal(one.image.numpy(), image.transpose(2, 0, 1))
            assert np.array_equal(one.labels[0].numpy(), labels)
            assert tuple(one.indices.tolist()) == reports.indices[position]
            assert same(one, again[0, position])
        assert changed > len(pixels) / 2  # a drawn strength or side may be next to nothing


def test_words_that_nothing_measures_forbid_shifts(pixels: DecodedSamples) -> None:
    data = CHEST.to_dict()
    for factor in data["factors"]:
        factor["measure"] = None
    vocabulary = Vocabulary.from_dict(data, origin="test")
    words = Words(vocabulary, [(0, 0, 0, 0)] * 16, source="reports", side="image")
    for change in ("affine", "elastic"):
        shifted = STILL.model_copy(update={change: 1.0})
        moved = TrainingExamples(pixels, words, augment=shifted, seed=0)[0, 0]
        assert np.array_equal(moved.labels[0].numpy(), pixels[0][1])
        assert np.array_equal(moved.image.numpy(), pixels[0][0].transpose(2, 0, 1))
        free = TrainingExamples(pixels, None, augment=shifted, seed=0)[0, 0]
        assert not np.array_equal(free.labels[0].numpy(), pixels[0][1])


def test_without_text_there_are_no_indices(pixels: DecodedSamples) -> None:
    assert TrainingExamples(pixels, None, augment=AugmentConfig(), seed=0)[0, 0].indices.shape == (0,)
    assert PlainExamples(pixels, None)[0].indices.shape == (0,)


def test_plain_examples_are_the_samples(pixels: DecodedSamples, reports: Words) -> None:
    plain = PlainExamples(pixels, reports)
    image, labels = pixels[2]
    assert len(plain) == 16
    assert np.array_equal(plain[2].image.numpy(), image.transpose(2, 0, 1))
    assert np.array_equal(plain[2].labels[0].numpy(), labels)
    assert tuple(plain[2].indices.tolist()) == reports.indices[2]


def test_grey_and_colour_images_share_a_batch() -> None:
    labels = np.zeros((2, 2), np.uint8)
    grey = example(np.full((2, 2, 1), 7, np.uint8), labels, (1,))
    colour = example(np.dstack([labels + 1, labels + 2, labels + 3]), labels, (2,))
    batch = collate([grey, colour])
    assert batch.image.shape == (2, 3, 2, 2)
    assert batch.image[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]
    assert batch.labels.shape == (2, 1, 2, 2)
    assert batch.indices.tolist() == [[1], [2]]


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, and an image before and after a change that turns the lesion from pink to dark."""
    labels = np.zeros((32, 32), np.uint8)
    labels[8:24, 8:24] = 1
    before = np.full((32, 32, 3), (60, 20, 20), np.uint8)
    before[labels == 1] = (230, 150, 160)
    after = before.copy()
    after[labels == 1] = (60, 15, 10)
    return labels, before, after


@pytest.fixture(scope="module")
def colour() -> tuple[int, int, int]:
    """Return the position of the colour factor, and its phrase before and after the change of `scene`."""
    labels, before, after = scene()
    position = [factor.name for factor in POLYP.factors].index("color")
    was, now = (measure_indices(labels, POLYP, image=image)[position] for image in (before, after))
    assert len({was, now, UNKNOWN}) == 3
    return position, was, now


def test_exposure_changes_colour_words(colour: tuple[int, int, int]) -> None:
    labels, before, after = scene()
    position, _, now = colour
    indices = measure_indices(labels, POLYP, image=before)
    for source, expected in (("concepts", now), ("reports", UNKNOWN)):
        words = Words(POLYP, [indices], source=source, side="image")
        changed = words_after_exposure(indices, words, labels, before, after)
        assert changed[position] == expected
        assert changed[:position] == indices[:position]
        assert changed[position + 1 :] == indices[position + 1 :]


def test_a_harmless_exposure_keeps_what_a_report_says(colour: tuple[int, int, int]) -> None:
    labels, before, _ = scene()
    position, _, now = colour
    said = list(measure_indices(labels, POLYP, image=before))
    said[position] = now  # a person may see it otherwise than the measurement
    words = Words(POLYP, [tuple(said)], source="reports", side="image")
    assert words_after_exposure(tuple(said), words, labels, before, before) == tuple(said)


def test_exposure_of_a_grey_image_is_measured_too() -> None:
    labels, before, after = (pixels[..., :1] if pixels.ndim == 3 else pixels for pixels in scene())
    indices = measure_indices(labels, POLYP, image=before[..., 0])
    words = Words(POLYP, [indices], source="concepts", side="image")
    assert words_after_exposure(indices, words, labels, before, after) == measure_indices(
        labels, POLYP, image=after[..., 0]
    )


def test_words_of_the_chest_are_not_touched_by_exposure() -> None:
    labels, before, after = scene()
    indices = (1, 0, 3, 7)
    words = Words(CHEST, [indices], source="concepts", side="image")
    assert words_after_exposure(indices, words, labels, before, after) is indices


def test_every_example_tells_the_truth_about_colour(tmp_path: Path) -> None:
    labels, before, _ = scene()

    class One:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
            return before, labels

    words = Words(POLYP, [measure_indices(labels, POLYP, image=before)], source="concepts", side="image")
    harsh = AugmentConfig(
        horizontal_flip=0.5, affine=0.5, gamma=0.9, brightness=0.5, elastic=0.5, noise=0.5, cutout=0.5
    )
    examples = TrainingExamples(One(), words, augment=harsh, seed=0)
    position = [factor.name for factor in POLYP.factors].index("color")
    seen = set()
    for turn in range(20):
        one = examples[turn, 0]
        image = np.ascontiguousarray(one.image.numpy().transpose(1, 2, 0))
        expected = measure_indices(one.labels[0].numpy(), POLYP, image=image)[position]
        assert one.indices[position] == expected
        seen.add(expected)
    assert len(seen) > 1


class Drawn:
    """The pseudo label of one sample: a soft block."""

    def __init__(self, top: int) -> None:
        self.soft = np.zeros((64, 64, 1), np.uint8)
        self.soft[top : top + 16, 8:24] = 200

    def picture(self, position: int) -> np.ndarray:
        return self.soft

    def labels(self, position: int) -> np.ndarray:
        return (self.soft[..., 0] > 127).astype(np.uint8)

    def weight(self, position: int) -> float:
        return 0.5


class TestWithoutMask:
    """What is shown of a sample that has no mask."""

    PIXELS = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64, 1)

    def examples(self, words: Words | None, *, top: int = 8, **augment: float) -> TrainingExamples:
        return TrainingExamples(
            [(self.PIXELS, None)], words, augment=AugmentConfig(**augment), seed=0, sample_pictures=Drawn(top)
        )

    def test_it_says_that_there_is_none(self) -> None:
        one = self.examples(None, horizontal_flip=0, affine=0, gamma=0, brightness=0)[0, 0]
        assert one.masked.item() is False
        assert one.labels.sum() == 0
        assert (one.picture[0].numpy() == Drawn(8).soft[..., 0]).all()
        assert one.weight.item() == 0.5
        beside = TrainingExamples(
            [(self.PIXELS, self.PIXELS[..., 0])], None, augment=STILL, seed=0, sample_pictures=Drawn(8)
        )[0, 0]
        batch = collate([one, beside])
        assert batch.masked.tolist() == [False, True]
        assert batch.weight.tolist() == [0.5, 1.0]

    def test_its_pseudo_label_moves_with_it(self) -> None:
        block = np.zeros((64, 64, 1), np.uint8)
        block[8:24, 8:24] = 200
        examples = TrainingExamples(
            [(block, None)],
            None,
            augment=AugmentConfig(affine=1, gamma=0, brightness=0),
            seed=0,
            sample_pictures=Drawn(8),
        )
        for turn in range(5):
            one = examples[turn, 0]
            assert (one.image == one.picture).all()
            assert not (one.picture[0].numpy() == block[..., 0]).all()

    def test_flips_keep_its_words_true(self) -> None:
        words = Words(CHEST, [(1, 0, 0, 7)], source="reports", side="image")
        one = self.examples(words, horizontal_flip=1, affine=0, gamma=0, brightness=0)[0, 0]
        assert np.array_equal(one.image[0].numpy(), self.PIXELS[:, ::-1, 0])
        assert one.indices.tolist() == [1, 0, 7, 0]

    def test_words_are_lost_where_its_pseudo_label_says_that_a_shift_made_them_false(self) -> None:
        words = Words(POLYP, [(0, 0, 1, 2, UNKNOWN)], source="reports", side="image")
        shifts = {"horizontal_flip": 0, "affine": 1, "gamma": 0, "brightness": 0, "max_shift": 0.3}
        places = [self.examples(words, **shifts)[turn, 0].indices[1].item() for turn in range(30)]
        assert set(places) == {0, UNKNOWN}

    def test_its_pseudo_label_is_never_measured_into_words(self) -> None:
        words = Words(POLYP, [(UNKNOWN,) * 5], source="concepts", side="image")
        for turn in range(5):
            assert (self.examples(words, affine=1)[turn, 0].indices == UNKNOWN).all()

    def test_noise_is_added_to_the_image_alone(self) -> None:
        still = {"gamma": 0, "brightness": 0, "horizontal_flip": 0, "affine": 0}
        examples = self.examples(None, noise=1, max_noise=0.1, **still)
        some = [examples[turn, 0] for turn in range(5)]
        difference = [np.abs(one.image[0].numpy().astype(int) - self.PIXELS[..., 0]) for one in some]
        assert 1 < np.mean(difference) < 20
        assert all((one.picture[0].numpy() == Drawn(8).soft[..., 0]).all() for one in some)

    def test_what_is_cut_out_keeps_its_pseudo_label(self) -> None:
        still = {"gamma": 0, "brightness": 0, "horizontal_flip": 0, "affine": 0}
        examples = self.examples(None, cutout=1, max_cutout=0.5, **still)
        some = [examples[turn, 0] for turn in range(5)]
        whole = [np.array_equal(one.image[0].numpy(), self.PIXELS[..., 0]) for one in some]
        assert sum(whole) < 3  # a rectangle may be as small as nothing
        assert all((one.picture[0].numpy() == Drawn(8).soft[..., 0]).all() for one in some)
