import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lexiseg.data.resize import resize_image, resize_labels
from lexiseg.data.transforms import (
    MAX_DISPLACEMENT,
    Affine,
    Elastic,
    HorizontalFlip,
    Transform,
    VerticalFlip,
    words_follow,
)
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.measure_rules import ShapeMeasure
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

SEEDS = range(25)


@pytest.fixture(scope="module", params=["chest", "polyp"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return load_vocabulary(request.param)


def lesions(seed: int, shape: tuple[int, int] = (96, 112)) -> np.ndarray:
    """Draw one to four discs anywhere."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.uint8)
    for _ in range(rng.integers(1, 5)):
        row, column, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(5, 16)
        labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = 1
    return labels


def picture(seed: int, channels: int, shape: tuple[int, int] = (96, 112)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.uniform(0, 255, (*shape, channels)), (4, 4, 0))
    return ((smooth - smooth.min()) * (255 / np.ptp(smooth))).astype(np.uint8)


def random_transform(kind: type, seed: int) -> Transform:
    return kind.draw(np.random.default_rng(seed)) if hasattr(kind, "draw") else kind()


MOVING = [Affine, Elastic]
ALL = [HorizontalFlip, VerticalFlip, *MOVING]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_types_and_inputs_stay(kind: type, channels: int) -> None:
    image, labels = picture(0, channels), lesions(0)
    copies = image.copy(), labels.copy()
    moved, moved_labels = random_transform(kind, 0).apply(image, labels)
    assert (moved.shape, moved.dtype) == (image.shape, np.uint8)
    assert (moved_labels.shape, moved_labels.dtype) == (labels.shape, np.uint8)
    assert moved.flags.c_contiguous
    assert moved.flags.writeable
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(labels, copies[1])


@pytest.mark.parametrize("kind", ALL)
def test_image_and_labels_move_together_and_no_label_is_invented(kind: type) -> None:
    for seed in SEEDS:
        labels = lesions(seed) * np.uint8(3)
        moved, moved_labels = random_transform(kind, seed).apply(
            (labels > 0).astype(np.uint8)[..., None] * 255, labels
        )
        assert set(np.unique(moved_labels)) <= {0, 3}
        # Bilinear and nearest differ by less than a pixel at the edge.
        assert ((moved[..., 0] > 127) != (moved_labels > 0)).mean() < 0.02


@pytest.mark.parametrize("kind", MOVING)
def test_drawing_depends_on_the_generator_only(kind: type) -> None:
    first, second = (kind.draw(np.random.default_rng(7)) for _ in range(2))
    assert first == second
    assert first != kind.draw(np.random.default_rng(8))


@pytest.mark.parametrize("kind", [HorizontalFlip, VerticalFlip])
def test_flipping_twice_is_nothing(kind: type, vocabulary: Vocabulary) -> None:
    image, labels = picture(1, 3), lesions(1)
    once = kind().apply(image, labels)
    twice = kind().apply(*once)
    np.testing.assert_array_equal(twice[0], image)
    np.testing.assert_array_equal(twice[1], labels)
    words = measure_indices(labels, vocabulary)
    flipped = kind().apply_words(words, vocabulary, labels, once[1], "reports")
    assert kind().apply_words(flipped, vocabulary, once[1], labels, "reports") == words


@pytest.mark.parametrize("side", ["image", "patient"])
def test_horizontal_flip_is_true_of_the_flipped_mask(vocabulary: Vocabulary, side: str) -> None:
    changed = 0
    for seed in range(60):
        labels = lesions(seed)
        image = picture(seed, 3)
        _, mirrored = HorizontalFlip().apply(image, labels)
        words = measure_indices(labels, vocabulary, side=side)  # type: ignore[arg-type]
        for source in ("concepts", "reports"):
            flipped = HorizontalFlip().apply_words(words, vocabulary, labels, mirrored, source, side=side)  # type: ignore[arg-type]
            assert flipped == measure_indices(mirrored, vocabulary, side=side)  # type: ignore[arg-type]
        changed += flipped != words
    assert changed > 20


def test_vertical_flip_is_true_of_the_flipped_mask_on_the_grid() -> None:
    polyp = load_vocabulary("polyp")
    changed = 0
    for seed in range(60):
        labels = lesions(seed)
        _, mirrored = VerticalFlip().apply(picture(seed, 1), labels)
        words = measure_indices(labels, polyp)
        flipped = VerticalFlip().apply_words(words, polyp, labels, mirrored, "concepts")
        assert flipped == measure_indices(mirrored, polyp)
        changed += flipped != words
    assert changed > 10


def test_flips_swap_words_by_hand() -> None:
    chest = load_vocabulary("chest")
    labels = lesions(0)
    # unilateral, one area, upper left, nothing right
    words = (1, 0, 0, 7)
    assert HorizontalFlip().apply_words(words, chest, labels, labels, "reports") == (1, 0, 7, 0)
    assert VerticalFlip().apply_words(words, chest, labels, labels, "reports") == (1, 0, 2, 7)
    unknown = (UNKNOWN, 0, UNKNOWN, 3)
    assert HorizontalFlip().apply_words(unknown, chest, labels, labels, "reports") == (UNKNOWN, 0, 3, UNKNOWN)


@pytest.mark.parametrize("kind", MOVING)
def test_concepts_are_true_of_the_transformed_mask(kind: type, vocabulary: Vocabulary) -> None:
    changed = 0
    for seed in SEEDS:
        labels = lesions(seed)
        transform = random_transform(kind, seed)
        _, moved = transform.apply(picture(seed, 1), labels)
        words = measure_indices(labels, vocabulary)
        after = transform.apply_words(words, vocabulary, labels, moved, "concepts")
        for factor, word, was, now in zip(
            vocabulary.factors, after, words, measure_indices(moved, vocabulary), strict=True
        ):
            is_shape = isinstance(factor.measure, ShapeMeasure)
            assert word == (UNKNOWN if is_shape and was != now else now)
        changed += after != words
    assert changed > 0


def test_a_shape_measured_before_squashing_is_not_measured_again() -> None:
    # An oval of the original grid is a disc in the square the network sees.
    polyp = load_vocabulary("polyp")
    shape = polyp.names.index("shape")
    rows, columns = np.ogrid[:96, :192]
    original = ((((columns - 96) / 2) ** 2 + (rows - 48) ** 2) < 20**2).astype(np.uint8)
    squashed = resize_labels(original, (96, 96))
    words = measure_indices(original, polyp)
    assert words[shape] != measure_indices(squashed, polyp)[shape]
    assert Affine().apply_words(words, polyp, squashed, squashed, "concepts")[shape] == words[shape]


@pytest.mark.parametrize("kind", MOVING)
def test_reports_keep_only_what_the_transform_did_not_change(kind: type, vocabulary: Vocabulary) -> None:
    kept = lost = 0
    for seed in SEEDS:
        labels = lesions(seed)
        transform = random_transform(kind, seed)
        _, moved = transform.apply(picture(seed, 1), labels)
        before, after = measure_indices(labels, vocabulary), measure_indices(moved, vocabulary)
        # A report need not say what is measured; take one that never does.
        said = tuple((index + 1) % size for index, size in zip(before, vocabulary.sizes, strict=True))
        words = transform.apply_words(said, vocabulary, labels, moved, "reports")
        for word, spoken, was, now in zip(words, said, before, after, strict=True):
            assert word == (spoken if was == now else UNKNOWN)
            kept, lost = kept + (was == now), lost + (was != now)
    assert kept > 0
    assert lost > 0


def test_colour_survives_a_shift_but_not_the_loss_of_the_lesion() -> None:
    polyp = load_vocabulary("polyp")
    names = polyp.names
    labels = np.zeros((64, 64), np.uint8)
    labels[2:10, 2:10] = 1
    words = tuple(0 for _ in names)
    away = Affine(shift=(-0.5, -0.5))
    _, gone = away.apply(picture(0, 1, (64, 64)), labels)
    assert not gone.any()
    colour = names.index("color")
    for source in ("concepts", "reports"):
        assert set(away.apply_words(words, polyp, labels, gone, source)) == {UNKNOWN}  # type: ignore[arg-type]
        still = Affine().apply_words(words, polyp, labels, labels, source)  # type: ignore[arg-type]
        assert still[colour] == 0


def test_words_that_nothing_measures(vocabulary: Vocabulary) -> None:
    assert words_follow(vocabulary)
    value = vocabulary.to_dict()
    value["factors"] = [factor | {"measure": None} for factor in value["factors"]]
    blind = Vocabulary.from_dict(value)
    assert not words_follow(blind)
    labels = lesions(0)
    words = Affine().apply_words(tuple(0 for _ in blind.factors), blind, labels, labels, "reports")
    places = {"left", "right", "location"}
    for factor, word in zip(blind.factors, words, strict=True):
        assert word == (UNKNOWN if factor.name in places else 0)


def test_affine_identity_shift_and_quarter_turn_by_hand() -> None:
    image, labels = picture(3, 3, (64, 64)), lesions(3, (64, 64))
    same = Affine().apply(image, labels)
    np.testing.assert_array_equal(same[0], image)
    np.testing.assert_array_equal(same[1], labels)
    shifted = Affine(shift=(4 / 64, -8 / 64)).apply(image, labels)
    np.testing.assert_array_equal(shifted[0][4:, :-8], image[:-4, 8:])
    np.testing.assert_array_equal(shifted[1][4:, :-8], labels[:-4, 8:])
    assert shifted[0][:4].max() == 0
    assert shifted[1][:, -8:].max() == 0
    turned = Affine(angle_deg=90).apply(image, labels)
    np.testing.assert_allclose(turned[0].astype(int), np.rot90(image).astype(int), atol=1)
    np.testing.assert_array_equal(turned[1], np.rot90(labels))


def test_affine_scale_about_the_centre() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[40:60, 40:60] = 1
    _, larger = Affine(scale=2.0).apply(labels[..., None], labels)
    expected = np.zeros_like(labels)
    expected[30:70, 30:70] = 1
    np.testing.assert_array_equal(larger, expected)


def test_affine_turns_about_the_centre_of_a_grid_that_is_no_square() -> None:
    labels = np.zeros((60, 100), np.uint8)
    labels[25:35, 40:60] = 1
    _, turned = Affine(angle_deg=90).apply(labels[..., None], labels)
    expected = np.zeros_like(labels)
    expected[20:40, 45:55] = 1
    np.testing.assert_array_equal(turned, expected)


def test_affine_draws_within_its_bounds() -> None:
    for seed in range(200):
        drawn = Affine.draw(np.random.default_rng(seed), max_angle_deg=7, max_scale=0.2, max_shift=0.1)
        assert abs(drawn.angle_deg) <= 7
        assert 0.8 <= drawn.scale <= 1.2
        assert max(map(abs, drawn.shift)) <= 0.1


patterns = st.integers(0, 2**63 - 1)
displacements = st.floats(0, MAX_DISPLACEMENT)
sides = st.integers(8, 80)


@settings(max_examples=50, deadline=None)
@given(pattern=patterns, size=displacements, height=sides, width=sides, value=st.integers(0, 255))
def test_elastic_keeps_a_constant_image(
    pattern: int, size: float, height: int, width: int, value: int
) -> None:
    image = np.full((height, width, 3), (value, 255 - value, 7), np.uint8)
    moved, labels = Elastic(pattern=pattern, max_displacement=size).apply(image, image[..., 2])
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(labels, image[..., 2])


@settings(max_examples=50, deadline=None)
@given(pattern=patterns, size=displacements, height=sides, width=sides, seed=st.integers(0, 99))
def test_elastic_moves_image_and_labels_together(
    pattern: int, size: float, height: int, width: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).choice(np.array([0, 3, 4], np.uint8), (height, width))
    labels = labels.repeat(4, axis=0).repeat(4, axis=1)  # patches: most pixels have neighbours of their label
    bend = Elastic(pattern=pattern, max_displacement=size)
    image, moved = bend.apply(labels[..., None] * np.uint8(60), labels)
    assert set(np.unique(moved)) <= set(np.unique(labels))
    # What comes from between pixels of one label has exactly their grey.
    rows, columns = bend._sources(*labels.shape)
    corners = np.stack(
        [
            labels[y(rows).astype(int), x(columns).astype(int)]
            for y in (np.floor, np.ceil)
            for x in (np.floor, np.ceil)
        ]
    )
    pure = corners.min(axis=0) == corners.max(axis=0)
    assert pure.any()
    np.testing.assert_array_equal(image[pure, 0], moved[pure] * 60)
    again = bend.apply(labels[..., None] * np.uint8(60), labels)
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_array_equal(again[1], moved)


@settings(max_examples=50, deadline=None)
@given(pattern=patterns, size=displacements)
def test_elastic_stays_within_its_bound_and_folds_nothing(pattern: int, size: float) -> None:
    height, width = 120, 90
    rows, columns = Elastic(pattern=pattern, max_displacement=size)._sources(height, width)
    down = (rows - np.arange(height)[:, None]) / height
    right = (columns - np.arange(width)) / width
    assert max(np.abs(down).max(), np.abs(right).max()) <= size + 1e-12
    # Away from the border, where pixels from beyond are taken from it, the map keeps its orientation.
    inner = (slice(8, -8), slice(8, -8))
    (down_y, down_x), (right_y, right_x) = (
        [part[inner] for part in np.gradient(source)] for source in (rows, columns)
    )
    assert (down_y * right_x - down_x * right_y).min() > 0


def test_elastic_without_displacement_is_nothing() -> None:
    image, labels = picture(5, 3), lesions(5)
    same = Elastic(pattern=1, max_displacement=0).apply(image, labels)
    np.testing.assert_array_equal(same[0], image)
    np.testing.assert_array_equal(same[1], labels)


def test_elastic_uses_the_displacement_it_is_given() -> None:
    moved = [
        np.abs(Elastic(pattern=p, max_displacement=0.03)._sources(100, 100)[0] - np.arange(100)[:, None])
        for p in range(20)
    ]
    assert 0.5 < np.mean(moved) < 1.5
    assert 1.5 < np.max(moved) <= 3


def test_a_lesion_that_elastic_moves_over_the_midline_is_measured_again() -> None:
    chest = load_vocabulary("chest")
    labels = np.zeros((100, 100), np.uint8)
    labels[20:40, 35:53] = 1  # a little over the midline, which still counts as the image's left
    before = measure_indices(labels, chest, side="image")
    changed = 0
    for pattern in range(40):
        bend = Elastic(pattern=pattern, max_displacement=MAX_DISPLACEMENT)
        _, moved = bend.apply(labels[..., None], labels)
        now = measure_indices(moved, chest, side="image")
        measured = bend.apply_words(before, chest, labels, moved, "concepts", side="image")
        assert measured == now
        told = bend.apply_words(before, chest, labels, moved, "reports", side="image")
        assert told == tuple(w if w == n else UNKNOWN for w, n in zip(before, now, strict=True))
        changed += now != before
    assert changed > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_averages_and_labels_take_the_nearest(channels: int) -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(board.astype(np.uint8)[..., None], channels, axis=2)
    small = resize_image(image, (16, 16))
    assert small.shape == (16, 16, channels)
    # Without antialiasing a chessboard shrinks to black or white.
    assert np.abs(small.astype(int) - 127.5).max() < 20
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 5
    assert set(np.unique(resize_labels(labels, (10, 10)))) == {0, 5}
    np.testing.assert_array_equal(resize_labels(labels, (32, 16)), np.repeat([[0] * 8 + [5] * 8], 32, axis=0))


def test_resizing_to_the_same_size_is_free() -> None:
    image, labels = picture(0, 3), lesions(0)
    assert resize_image(image, image.shape[:2]) is image
    assert resize_labels(labels, labels.shape) is labels


def test_enlarging_and_shrinking_labels_gives_them_back() -> None:
    labels = lesions(9)
    larger = resize_labels(labels, (labels.shape[0] * 3, labels.shape[1] * 3))
    np.testing.assert_array_equal(resize_labels(larger, labels.shape), labels)
    assert math.isclose(larger.mean(), labels.mean())
