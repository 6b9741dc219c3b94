"""Words measured from masks and pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lexiseg.words.color import mean_lab
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.measure import agreement, measure, measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")


def boxes(*corners: tuple[int, int, int, int], size: tuple[int, int] = (224, 224)) -> NDArray[np.uint8]:
    """Return a label map with boxes (top, bottom, left, right), ends excluded."""
    labels = np.zeros(size, np.uint8)
    for top, bottom, left, right in corners:
        labels[top:bottom, left:right] = 1
    return labels


def words(labels: NDArray[Any], vocabulary: Vocabulary = CHEST, **options: Any) -> dict[str, str | None]:
    return measure(labels, vocabulary, **options).phrases


def one_factor(measure: dict[str, Any], *phrases: str) -> Vocabulary:
    return Vocabulary.from_dict({
        "name": "own", "title": "Own", "keyword": {"singular": "spot", "plural": "spots"},
        "sentence": {"clauses": [{"parts": ["{thing} {keyword}"]}]},
        "factors": [{"name": "thing", "title": "Thing", "phrases": phrases, "measure": measure}],
    })  # fmt: skip


# --- chest ---


def test_one_lower_left_lesion() -> None:
    description = measure(boxes((150, 180, 40, 80)), CHEST)
    assert description.source == "concepts"
    assert description.side == "image"
    assert description.problems == ()
    assert description.phrases == {
        "laterality": "unilateral pulmonary infection",
        "count": "one infected area",
        "left": "lower left lung",
        "right": "no lesion in right lung",
    }


def test_both_lungs() -> None:
    found = words(boxes((20, 200, 30, 90), (20, 50, 140, 180)))
    assert found["laterality"] == "bilateral pulmonary infection"
    assert found["count"] == "multiple infected areas"
    assert found["left"] == "upper middle lower left lung"
    assert found["right"] == "upper right lung"


@pytest.mark.parametrize(
    ("top", "bottom", "zones"),
    [(10, 40, "upper"), (90, 110, "middle"), (150, 190, "lower"), (20, 180, "upper middle lower"),
     (90, 190, "middle lower")],
)  # fmt: skip
def test_zones_follow_the_rows(top: int, bottom: int, zones: str) -> None:
    assert words(boxes((top, bottom, 40, 80)))["left"] == f"{zones} left lung"
    assert words(boxes((top, bottom, 144, 184)))["right"] == f"{zones} right lung"


def test_upper_and_lower_without_middle() -> None:
    labels = boxes((20, 50, 30, 80), (150, 190, 30, 80))
    assert words(labels)["left"] == "upper lower left lung"


def test_a_lesion_that_reaches_over_the_midline_is_in_one_lung() -> None:
    assert words(boxes((120, 150, 60, 120)))["right"] == "no lesion in right lung"  # 8 of 60 columns
    assert words(boxes((120, 150, 60, 130)))["laterality"] == "bilateral pulmonary infection"  # 18 of 70


def test_specks_do_not_count() -> None:
    lesion = (150, 180, 40, 80)
    assert words(boxes(lesion, (20, 25, 160, 165))) == words(
        boxes(lesion)
    )  # 25 pixels: under 0.05 % of 224 x 224
    assert words(boxes(lesion, (20, 26, 160, 165)))["count"] == "multiple infected areas"  # 30 pixels


def test_words_do_not_depend_on_the_resolution() -> None:
    labels = boxes((20, 110, 30, 90), (140, 190, 130, 200))
    assert words(labels.repeat(3, 0).repeat(3, 1)) == words(labels) == words(labels[::2, ::2])


def test_the_patients_left_is_the_images_right() -> None:
    labels = boxes((150, 180, 40, 80))
    seen = measure(labels, CHEST, side="patient")
    assert seen.side == "patient"
    assert seen.phrases["right"] == "lower right lung"
    assert seen.phrases["left"] == "no lesion in left lung"
    assert seen.indices == measure_indices(labels[:, ::-1], CHEST, side="image")


# --- odd masks ---


def test_empty_mask() -> None:
    description = measure(boxes(), CHEST)
    assert description.indices == (UNKNOWN, UNKNOWN, 7, 7)
    assert description.problems == ("There is no lesion in the mask.",)
    assert measure_indices(boxes(), POLYP) == (UNKNOWN,) * 5


def test_full_mask() -> None:
    assert words(np.ones((224, 224), np.uint8)) == {
        "laterality": "bilateral pulmonary infection",
        "count": "one infected area",
        "left": "upper middle lower left lung",
        "right": "upper middle lower right lung",
    }


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 1), (2, 2), (3, 5), (100, 37), (37, 100)])
def test_every_size_is_measured(size: tuple[int, int]) -> None:
    for vocabulary in (CHEST, POLYP):
        full = measure(np.ones(size, np.uint8), vocabulary, image=np.full((*size, 3), 90, np.uint8))
        assert full.phrases.get("location", "center") == "center"
        assert (
            full.phrases.get("laterality", "bilateral pulmonary infection") == "bilateral pulmonary infection"
        )


def test_single_pixel() -> None:
    assert words(boxes((200, 201, 30, 31)))["left"] == "lower left lung"
    found = words(boxes((223, 224, 0, 1)), POLYP)
    assert found == {
        "number": "one",
        "location": "lower left",
        "shape": "round",
        "size": "small",
        "color": None,
    }


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint16])
def test_label_types(dtype: type) -> None:
    assert measure_indices(boxes((150, 180, 40, 80)).astype(dtype), CHEST) == (1, 0, 2, 7)


def test_one_label_of_several() -> None:
    labels = boxes((150, 180, 40, 80))
    labels[20:50, 150:190] = 2
    assert words(labels)["laterality"] == "bilateral pulmonary infection"
    assert words(labels, label=2)["left"] == "no lesion in left lung"
    assert words(labels, label=2)["right"] == "upper right lung"
    assert measure_indices(labels, CHEST, label=3) == (UNKNOWN, UNKNOWN, 7, 7)


def test_touching_labels_are_one_lesion() -> None:
    labels = boxes((100, 120, 40, 80))
    labels[120:140, 40:80] = 2
    assert words(labels)["count"] == "one infected area"


def test_inputs_are_not_changed() -> None:
    labels, image = boxes((100, 120, 40, 80)), np.full((224, 224, 3), 100, np.uint8)
    labels.flags.writeable = image.flags.writeable = False
    measure(labels, POLYP, image=image)


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2-D label map.*\(2, 3, 4\)"):
        measure_indices(np.zeros((2, 3, 4), np.uint8), CHEST)
    with pytest.raises(ValueError, match="float64"):
        measure(np.zeros((2, 3)), CHEST)
    with pytest.raises(ValueError, match=r"\(2, 3, 3\), got \(3, 2, 3\)"):
        measure(np.zeros((2, 3), np.uint8), POLYP, image=np.zeros((3, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        measure(np.zeros((2, 3), np.uint8), POLYP, image=np.zeros((2, 3), np.float32))


# --- polyp ---


def test_location_is_the_cell_of_the_centroid() -> None:
    cells = POLYP.factor("location").phrases
    for row in range(3):
        for column in range(3):
            box = (30 * row + 10, 30 * row + 20, 40 * column + 10, 40 * column + 30)
            assert words(boxes(box, size=(90, 120)), POLYP)["location"] == cells[3 * row + column]


@pytest.mark.parametrize(("row", "cell"), [(32, "upper"), (33, "center"), (65, "center"), (66, "lower")])
def test_edges_of_the_middle_cell(row: int, cell: str) -> None:
    # Pixel centres at 32.5 and 33.5 lie 17 and 16 rows from the middle of 99 rows, a third of which is 33.
    labels = boxes((row, row + 1, 49, 50), size=(99, 99))
    assert words(labels, POLYP)["location"] == cell
    assert words(labels.T, POLYP)["location"] == {"upper": "left", "lower": "right"}.get(cell, cell)


def test_specks_do_not_move_the_location() -> None:
    lesion, speck = (48, 50, 30, 33), (48, 50, 96, 98)  # 6 and 4 pixels; 5 are 0.05 % of 100 x 100
    assert words(boxes(lesion, speck, size=(100, 100)), POLYP)["location"] == "left"


def test_the_phrase_for_no_lesion_may_stand_anywhere() -> None:
    rule = {"kind": "zones", "half": "left", "absent": "none", "scores": {"bias": [1, 0], "top": [-2, 0]}}
    for phrases in (("none", "high", "low"), ("high", "none", "low"), ("high", "low", "none")):
        vocabulary = one_factor(rule, *phrases)
        assert words(boxes((20, 40, 30, 60)), vocabulary)["thing"] == "high"
        assert words(boxes((150, 190, 30, 60)), vocabulary)["thing"] == "low"
        assert words(boxes((150, 190, 150, 160)), vocabulary)["thing"] == "none"


def test_number_and_size() -> None:
    assert words(boxes((0, 10, 0, 10), (50, 60, 50, 60)), POLYP)["number"] == "multiple"
    for side, size in (
        (22, "small"),
        (23, "medium"),
        (38, "medium"),
        (39, "large"),
    ):  # 4.8, 5.3, 14.4, 15.2 %
        labels = boxes((0, side, 0, side), size=(100, 100))
        assert words(labels, POLYP)["size"] == size


def ellipse(height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-100:101, -100:101]
    inside: NDArray[np.bool_] = (y / height) ** 2 + (x / width) ** 2 <= 1
    return inside


def test_shape_words() -> None:
    assert words(ellipse(50, 50), POLYP)["shape"] == "round"
    assert words(ellipse(50, 45), POLYP)["shape"] == "round"
    assert words(ellipse(60, 40), POLYP)["shape"] == "oval"
    assert words(ellipse(20, 80), POLYP)["shape"] == "elongated"
    assert words(ellipse(20, 80) | ellipse(80, 20), POLYP)["shape"] == "irregular"


@pytest.mark.parametrize(
    ("rgb", "color"),
    [((225, 150, 150), "pink"), ((170, 50, 45), "red"), ((215, 120, 60), "orange"),
     ((205, 175, 80), "yellow"),
     ((240, 235, 230), "white"), ((95, 60, 35), "brown")],
)  # fmt: skip
def test_color_words(rgb: tuple[int, int, int], color: str) -> None:
    labels = boxes((10, 20, 10, 20), size=(40, 40))
    image = np.zeros((40, 40, 3), np.uint8)
    image[labels == 1] = rgb
    assert words(labels, POLYP, image=image)["color"] == color


def test_color_is_the_lesions_mean() -> None:
    labels = boxes((0, 2, 0, 2), size=(4, 4))
    image = np.full((4, 4, 3), (240, 235, 230), np.uint8)
    image[0, :2], image[1, :2] = (240, 60, 60), (100, 40, 30)  # mean (170, 50, 45)
    assert words(labels, POLYP, image=image)["color"] == "red"


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 3)])
def test_grey_images_have_no_color(shape: tuple[int, ...]) -> None:
    image = np.arange(40, dtype=np.uint8).reshape(40, *[1] * (len(shape) - 1)) * np.ones(shape, np.uint8)
    image[:, 1] += 100  # columns differ, channels do not
    description = measure(boxes((10, 20, 10, 20), size=(40, 40)), POLYP, image=image)
    assert description.phrases["color"] is None
    assert description.problems == ("Colour: a grey image has no colour.",)


def test_what_is_missing_is_said() -> None:
    labels = boxes((10, 20, 10, 20), size=(40, 40))
    assert measure(labels, POLYP).problems == ("Colour: needs the image.",)
    unmeasured = Vocabulary.from_dict(
        one_factor({"kind": "size", "at_least": [0, 0.5]}, "little", "much").to_dict()
        | {"factors": [{"name": "thing", "title": "Thing", "phrases": ["little", "much"]}]}
    )
    assert measure(labels, unmeasured).problems == ("Thing: the vocabulary has no rule to measure it.",)


def test_mean_color_is_exact() -> None:
    color = mean_lab(np.full((1, 2, 3), 255, np.uint8), np.array([[True, False]]))
    assert color.lab == pytest.approx((100, 0, 0), abs=0.01)


@pytest.mark.parametrize(("grey", "word"), [(0, "dark"), (60, "dark"), (130, "grey"), (255, "bright")])
def test_intensity_words(grey: int, word: str) -> None:
    vocabulary = one_factor({"kind": "intensity", "at_least": [0, 0.33, 0.67]}, "dark", "grey", "bright")
    labels = boxes((1, 3, 1, 3), size=(5, 5))
    image = np.full((5, 5), 128, np.uint8)
    image[labels == 1] = grey
    assert words(labels, vocabulary, image=image)["thing"] == word
    assert words(labels, vocabulary, image=np.stack([image] * 3, axis=-1))["thing"] == word


# --- properties ---

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def blobs(seed: int) -> NDArray[np.bool_]:
    """Return a mask of a few ellipses on an image of random size."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(40, 120, 2)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 5)):
        cy, cx, a, b = rng.random(4) * (height, width, height / 4, width / 4) + (0, 0, 1, 1)
        mask |= ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 <= 1
    return mask


def check_mirrored(mask: NDArray[np.bool_], vocabulary: Vocabulary, image: NDArray[np.uint8]) -> None:
    seen = measure_indices(mask, vocabulary, image=image)
    mirrored = measure_indices(mask[:, ::-1], vocabulary, image=image[:, ::-1])
    assert mirrored == flip(vocabulary, seen, "horizontal")


@settings(max_examples=150, deadline=None)
@given(MASKS, st.integers(0, 2**32))
def test_mirrored_masks_have_mirrored_words(mask: NDArray[np.bool_], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    for vocabulary in (CHEST, POLYP):
        check_mirrored(mask, vocabulary, image)


@pytest.mark.parametrize("seed", range(60))
def test_mirrored_blobs_have_mirrored_words(seed: int) -> None:
    mask = blobs(seed)
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    for vocabulary in (CHEST, POLYP):
        check_mirrored(mask, vocabulary, image)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_upside_down_grid_words_flip_exactly(mask: NDArray[np.bool_]) -> None:
    seen, flipped = measure_indices(mask, POLYP), measure_indices(mask[::-1], POLYP)
    assert flipped == flip(POLYP, seen, "vertical")


def test_upside_down_lungs_keep_everything_but_zones() -> None:
    for seed in range(30):
        mask = blobs(seed)
        seen = flip(CHEST, measure_indices(mask, CHEST), "vertical")
        flipped = measure_indices(mask[::-1], CHEST)
        assert flipped[:2] == seen[:2]
        assert [index == 7 for index in flipped[2:]] == [index == 7 for index in seen[2:]]


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_chest_words_never_contradict_each_other(mask: NDArray[np.bool_]) -> None:
    laterality, count, left, right = measure_indices(mask, CHEST)
    if not mask.any():
        assert (laterality, count, left, right) == (UNKNOWN, UNKNOWN, 7, 7)
    else:
        assert (left != 7) or (right != 7)
        assert laterality == (0 if left != 7 and right != 7 else 1)
        assert count in (0, 1)


# --- agreement ---


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [((0, 1, 2, 3), (0, 1, 2, 3), 1.0), ((0, 1, 2, 3), (0, 1, 3, 2), 0.5), ((0, UNKNOWN, 2), (0, 1, 3), 0.5),
     ((0, 1), (UNKNOWN, 1), 1.0), ((UNKNOWN,), (UNKNOWN,), None), ((UNKNOWN, 1), (0, UNKNOWN), None),
     ((0,), (1,), 0.0)],
)  # fmt: skip
def test_agreement(a: tuple[int, ...], b: tuple[int, ...], share: float | None) -> None:
    assert agreement(a, b) == share


def test_agreement_needs_the_same_factors() -> None:
    with pytest.raises(ValueError, match="zip"):
        agreement((0, 1), (0,))
