"""LesionRegions, halves and shapes on masks drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lexiseg.words.lesion_regions import LesionRegions, half_profile, region_shape

Mask = NDArray[np.bool_]


def draw(*rows: str) -> Mask:
    """Return the mask whose lesion pixels are drawn as `#`."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def disc(radius: int, squash: float = 1.0) -> Mask:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: Mask = (y * squash) ** 2 + x**2 <= radius**2
    return inside


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    assert LesionRegions(draw("#...", ".#..", "...#")).areas.tolist() == [2, 1]


def test_specks_are_left_out_but_the_largest_region_never() -> None:
    regions = LesionRegions(draw("###.#", ".....", "##..."))  # areas 3, 1, 2 of 15 pixels
    assert regions.kept(0.0).tolist() == [True, True, True]
    assert regions.kept(2 / 15).tolist() == [True, False, True]
    assert regions.kept(0.9).tolist() == [True, False, False]


def half(mask: Mask, side: str, min_part: float = 0.2, min_region: float = 0.0) -> list[list[bool]]:
    chosen: list[list[bool]] = (
        LesionRegions(mask).half(side, min_region=min_region, min_part=min_part).tolist()  # type: ignore[arg-type]
    )
    return chosen


def test_halves_are_seen_from_the_edge_inwards() -> None:
    mask = draw("##....", "...#..")
    assert half(mask, "left") == [[True, True, False], [False, False, False]]
    assert half(mask, "right") == [[False, False, False], [False, False, True]]


def test_the_middle_column_belongs_to_both_halves() -> None:
    mask = draw("..#..")
    assert half(mask, "left") == half(mask, "right") == [[False, False, True]]
    assert half(draw("#"), "left") == half(draw("#"), "right") == [[True]]


@pytest.mark.parametrize(("min_part", "reaches"), [(0.0, True), (0.2, True), (0.21, False), (0.5, False)])
def test_a_region_needs_its_part_in_a_half(min_part: float, reaches: bool) -> None:
    mask = draw(".####.....", "....#.....", "....##....", "....##....", "....#.....")  # 10 pixels, 2 right
    assert np.any(half(mask, "right", min_part)) == reaches
    assert np.any(half(mask, "left", min_part))


def test_only_the_region_that_reaches_over_is_left_out() -> None:
    mask = draw(
        "#####.....", "..........", "######...#"
    )  # 5 | 0, 5 | 1 of 6 pixels, and one at the right edge
    assert half(mask, "right", 0.2) == [[False] * 5, [False] * 5, [True, False, False, False, False]]
    assert half(mask, "right", 0.1)[2] == [True, False, False, False, True]


def test_specks_are_in_no_half() -> None:
    assert not np.any(half(draw("##...#"), "right", min_region=0.3))
    assert np.any(half(draw("##...#"), "right", min_region=0.1))


def test_offset_is_the_centroid_from_the_middle() -> None:
    mask = draw("#...", "....")
    assert LesionRegions(mask).offset(0.0) == (-0.25, -0.375)
    assert LesionRegions(np.ones((3, 5), bool)).offset(0.0) == (0.0, 0.0)
    assert LesionRegions(draw("##..#")).offset(0.25)[1] == pytest.approx(-0.3)  # the speck is left out


def test_profile_of_a_half() -> None:
    lesion = draw("....", ".##.", ".##.", "....", "....", "..#.", "....", "....")
    profile = half_profile(lesion, image_pixels=64)
    assert profile["present"] == 1
    assert profile["top"] == 1 / 8
    assert profile["bottom"] == 6 / 8
    assert profile["outer"] == 1 / 4
    assert profile["inner"] == 1 / 4
    assert profile["area"] == 5 / 64
    assert profile["split"] == 1
    # 2.5 of 5 pixels lie above the quarter of the second lesion row; 4.75 above three quarters of row 5.
    assert profile["row_50"] == pytest.approx(2.25 / 8)
    assert profile["row_95"] == pytest.approx(5.75 / 8)
    assert profile["row_5"] == pytest.approx((1 + 0.125) / 8)


def test_profile_without_gap_and_without_lesion() -> None:
    assert half_profile(draw("#", "#", "."), 6)["split"] == 0
    assert set(half_profile(np.zeros((4, 4), bool), 32).values()) == {0.0}
    assert half_profile(np.zeros((4, 4), bool), 32).keys() == half_profile(np.ones((4, 4), bool), 32).keys()


def test_profile_does_not_depend_on_the_scale() -> None:
    lesion = draw("....", ".##.", ".###", "....", "..#.")
    larger = lesion.repeat(6, axis=0).repeat(6, axis=1)
    assert half_profile(larger, 40 * 36) == pytest.approx(half_profile(lesion, 40))


def test_shapes() -> None:
    pixel = region_shape(np.ones((1, 1), bool))
    assert (pixel.eccentricity, pixel.solidity, pixel.circularity) == (0, 1, 1)
    square = region_shape(np.ones((20, 20), bool))
    assert square.solidity == 1
    assert square.eccentricity == 0
    round_ = region_shape(disc(30))
    assert round_.circularity > 0.95
    assert round_.solidity > 0.95
    assert round_.eccentricity < 0.05
    oval = region_shape(disc(40, squash=2.0))
    assert oval.eccentricity == pytest.approx(np.sqrt(1 - 1 / 4), abs=0.01)  # axes 1 : 2
    line = region_shape(np.ones((1, 3), bool))
    assert line.eccentricity == pytest.approx(np.sqrt(1 - 1 / 9))  # variances 1 / 12 and 9 / 12
    corner = region_shape(draw("#..", "#..", "###"))
    assert corner.solidity == pytest.approx(5 / 7)  # the hull cuts off a triangle of 2 pixels


def test_the_largest_region_gives_the_shape() -> None:
    mask = np.zeros((40, 40), bool)
    mask[2:12, 2:12] = True
    mask[30, 2:30] = True
    assert LesionRegions(mask).largest_shape().eccentricity == 0


def test_of_two_largest_the_less_round_one() -> None:
    mask = draw("##.......", "##..####.")
    assert LesionRegions(mask).largest_shape() == LesionRegions(mask[:, ::-1]).largest_shape()
    assert LesionRegions(mask).largest_shape().eccentricity > 0.9
