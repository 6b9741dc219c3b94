from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary
from lexiseg.words.zone_atlas import GRID, ZoneAtlas, coverage, in_half, make_atlas, resized
from lexiseg.words.zones import half_of, place_factors, zones_of
from refusals import refuses

CHEST, POLYP = load_vocabulary("chest"), load_vocabulary("polyp")
UPPER, LOWER, UPPER_LOWER, NONE = 0, 2, 4, 7  # phrases of a lung
Q = GRID // 4  # the middle of the upper left quarter is the cell (Q, Q)


def block(top: int, left: int, *, label: int = 1) -> np.ndarray:
    """A quarter of a 64 x 64 image: upper (0) or lower (1), left (0) or right (1)."""
    labels = np.zeros((64, 64), np.uint8)
    labels[32 * top : 32 * (top + 1), 32 * left : 32 * (left + 1)] = label
    return labels


def said(left: int, right: int, *, count: int = 0) -> tuple[int, ...]:
    return (1, count, left, right)


TWO = [(block(0, 0), said(UPPER, NONE)), (block(1, 0), said(LOWER, NONE))]


def noise_atlas(vocabulary: Vocabulary, *, classes: int = 1) -> ZoneAtlas:
    rng = np.random.default_rng(0)
    cases = [
        (
            (rng.random((40, 50)) < 0.3).astype(np.uint8)
            * rng.integers(1, classes + 1, size=(40, 50)).astype(np.uint8),
            [int(rng.integers(size)) for size in vocabulary.sizes],
        )
        for _ in range(12)
    ]
    return make_atlas(cases, vocabulary, classes=classes)


def test_the_factors_about_places_are_those_that_mirroring_changes() -> None:
    assert place_factors(CHEST) == ("left", "right")
    assert "location" in place_factors(POLYP)
    assert place_factors(CHEST.only(["count"])) == ()


def test_a_phrase_names_its_zones() -> None:
    left = CHEST.factor("left")
    assert zones_of(left, UPPER_LOWER) == {("upper",), ("lower",)}
    assert zones_of(left, NONE) == frozenset()
    location = POLYP.factor("location")
    assert zones_of(location, 4) == {(location.phrases[4],)}
    assert (half_of(left), half_of(CHEST.factor("right")), half_of(location)) == ("left", "right", None)


def test_coverage_averages_pixels_over_cells() -> None:
    labels = np.zeros((2 * GRID, 3 * GRID), np.uint8)
    labels[0, 0:2], labels[0, 3] = 1, 2  # two of the six pixels of the first cell, one of the second
    assert coverage(labels, 2)[:, 0, :2] == pytest.approx(np.array([[2 / 6, 0], [0, 1 / 6]]))
    assert coverage(labels, 1)[0, 0, :2] == pytest.approx(np.array([2 / 6, 1 / 6]))
    odd = np.ones((57, 91), np.uint8)
    assert coverage(odd, 1) == pytest.approx(np.ones((1, GRID, GRID)))


def test_maps_are_shares_of_images_drawn_towards_the_mean() -> None:
    atlas = make_atlas(TWO, CHEST, classes=1, axes=())
    assert atlas.images == 2
    assert atlas.counts["left"].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
    assert atlas.overall[0, Q, Q] == pytest.approx(0.5)
    left = atlas.maps["left"][:, 0]
    # One image, and two images' worth of the mean map, which is 1/2 in both quarters.
    assert left[UPPER, Q, Q] == pytest.approx((1 + 2 * 0.5) / 3)
    assert left[UPPER, 3 * Q, Q] == pytest.approx((0 + 2 * 0.5) / 3)
    assert left[1, Q, Q] == pytest.approx(0.5)  # no image says "middle"
    assert left[NONE, Q, Q] == pytest.approx(0.002)  # no image, drawn towards an empty map
    assert (left[:, :, 32:] == atlas.overall[0, :, 32:]).all()  # the left lung says nothing of the right half
    assert atlas.maps["right"][NONE, 0, Q, 3 * Q] == pytest.approx(0.002)


def test_mirrored_images_count_with_their_mirrored_words() -> None:
    atlas = make_atlas(TWO, CHEST, classes=1)
    assert atlas.counts["left"].tolist() == atlas.counts["right"].tolist() == [1, 0, 1, 0, 0, 0, 0, 2]
    assert atlas.overall[0, Q, [Q, 3 * Q]] == pytest.approx([0.25, 0.25])


def test_the_words_of_a_patients_side_are_turned_to_the_image() -> None:
    image = make_atlas(TWO, CHEST, classes=1, axes=(), side="image")
    turned = [(labels, flip(CHEST, words, "horizontal")) for labels, words in TWO]
    patient = make_atlas(turned, CHEST, classes=1, axes=(), side="patient")
    assert (image.maps["left"] == patient.maps["left"]).all()
    given = image.word_map(said(UPPER, NONE), (64, 64), side="image")
    assert (given == image.word_map(said(NONE, UPPER), (64, 64), side="patient")).all()


def test_a_word_map_shows_named_zones_other_zones_and_the_count() -> None:
    atlas = make_atlas(
        [*TWO, (block(0, 1) | block(1, 1), said(NONE, UPPER_LOWER))], CHEST, classes=1, axes=()
    )
    picture = atlas.word_map(said(UPPER, NONE, count=1), (128, 128))
    assert picture.shape == (3, 128, 128)
    near, far = (32, 32), (96, 32)  # upper left and lower left quarter
    upper = (1 + 2 * 0.5) / 3  # of the zone "upper", whose only phrase with an image is "upper left lung"
    assert picture[0][near] == pytest.approx(upper, abs=1e-3)
    assert picture[1][near] == pytest.approx(
        (0 + 2 * 0.5) / 3 + 0.5, abs=5e-3
    )  # "lower", and "middle": the mean
    assert picture[0][far] == pytest.approx(1 / 3, abs=1e-3)
    assert picture[0, 32, 96] == 0  # nothing is named on the right
    assert picture[1, 32, 96] == pytest.approx(1, abs=1e-2)
    assert (picture[2] == 1).all()
    assert (atlas.word_map(said(UPPER, NONE, count=0), (8, 8))[2] == 0.5).all()
    nothing = atlas.word_map((UNKNOWN,) * 4, (8, 8))
    assert (nothing == 0).all()


@pytest.mark.parametrize("vocabulary", [CHEST, POLYP], ids=["chest", "polyp"])
def test_a_mirrored_description_has_the_mirrored_map(vocabulary: Vocabulary) -> None:
    atlas, rng = noise_atlas(vocabulary), np.random.default_rng(1)
    for _ in range(5):
        words = [int(rng.integers(-1, size)) for size in vocabulary.sizes]
        mirrored = flip(vocabulary, words, "horizontal")
        for size in ((64, 64), (33, 47)):
            own, other = atlas.word_map(words, size), atlas.word_map(mirrored, size)
            assert other == pytest.approx(own[..., ::-1], abs=1e-5)


def test_halves_leave_the_middle_column_out() -> None:
    assert in_half("left", (1, 5)).tolist() == [[True, True, False, False, False]]
    assert in_half("right", (1, 4)).tolist() == [[False, False, True, True]]


def test_resizing_keeps_constants_and_the_middle() -> None:
    assert (resized(np.full((1, GRID, GRID), 0.25, np.float32), (7, 200)) == 0.25).all()
    ramp = np.broadcast_to(np.arange(GRID, dtype=np.float32), (GRID, GRID))
    # Two pixels per cell: a quarter of a cell before and after its centre.
    assert resized(ramp, (GRID, 2 * GRID))[0, 2:4].tolist() == [0.75, 1.25]


def test_an_atlas_is_read_as_it_was_written(tmp_path: Path) -> None:
    atlas = noise_atlas(POLYP, classes=2).with_strength(1.5)
    atlas.save(tmp_path / "zone_atlas.safetensors")
    again = ZoneAtlas.load(tmp_path / "zone_atlas.safetensors", POLYP)
    assert (again.images, again.strength, again.classes) == (12, 1.5, 2)
    assert again.overall == pytest.approx(atlas.overall, abs=1e-3)
    for name in atlas.maps:
        assert again.maps[name] == pytest.approx(atlas.maps[name], abs=1e-3)
        assert (again.counts[name] == atlas.counts[name]).all()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "zone_atlas.safetensors"
    with refuses("LEX-RUN-830", "zone_atlas"):
        ZoneAtlas.load(file, CHEST)
    file.write_bytes(b"not an atlas")
    with refuses("LEX-RUN-830", "cannot be read"):
        ZoneAtlas.load(file, CHEST)
    noise_atlas(POLYP).save(file)
    with refuses("LEX-RUN-831", "left, right"):
        ZoneAtlas.load(file, CHEST)


def test_no_atlas_without_places() -> None:
    with refuses("LEX-DATA-830", "opposites"):
        make_atlas([], CHEST.only(["count"]), classes=1)
    with refuses("LEX-DATA-831", "no image has words about places", "of 1 image with a mask"):
        make_atlas([(block(0, 0), (1, 0, UNKNOWN, UNKNOWN))], CHEST, classes=1)


def test_several_classes_have_maps_of_their_own() -> None:
    cases = [(block(0, 0) + block(1, 0, label=2), said(UPPER_LOWER, NONE))]
    atlas = make_atlas(cases, CHEST, classes=2, axes=())
    here = atlas.maps["left"][UPPER_LOWER]
    assert here[:, Q, Q] == pytest.approx([0.998, 0.002])
    assert here[:, 3 * Q, Q] == pytest.approx([0.002, 0.998])
    assert math.isclose(atlas.overall[0, Q, Q], 0.998, abs_tol=1e-6)
