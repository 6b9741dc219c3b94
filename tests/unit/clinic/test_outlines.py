"""Outlines of masks as polygons."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, gaussian_filter, label
from skimage.measure import approximate_polygon, find_contours

from lexiseg.clinic.outlines import outlines, region_of


def test_a_rectangle_has_four_sides_and_cut_corners() -> None:
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    (outline,), count = outlines(mask)
    # Columns and rows between pixel centres; (0, 0) is the upper left corner of the image.
    corners = {(2.0, 1.5), (2.0, 3.5), (2.5, 4.0), (6.5, 4.0), (7.0, 3.5), (7.0, 1.5), (6.5, 1.0), (2.5, 1.0)}
    assert {tuple(point) for point in outline.points.tolist()} == corners
    assert (outline.points[0] == outline.points[-1]).all()
    assert (count, outline.area_px) == (1, 15)


@pytest.mark.parametrize("seed", range(20))
def test_outlines_surround_the_pixels_of_each_region(seed: int) -> None:
    """Also where regions touch at corners and have holes; no point lies between its neighbours."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(17, 23)), rng.choice([0.1, 1.0, 2.0]))
    mask = noise > np.quantile(noise, rng.choice([0.3, 0.5, 0.8]))
    found, count = outlines(mask)
    regions, expected = label(mask, structure=np.ones((3, 3)))
    assert count == expected
    assert [one.area_px for one in found] == sorted(np.bincount(regions.ravel())[1:], reverse=True)
    around = np.zeros_like(mask)
    for outline in found:
        around |= region_of(outline, (17, 23))
        assert len(approximate_polygon(outline.points, 1e-6)) >= len(outline.points)
    filled = np.zeros_like(mask)
    for number in range(1, count + 1):
        filled |= binary_fill_holes(regions == number)
    assert (around == filled).all()


@pytest.mark.parametrize("seed", range(20))
def test_outlines_are_the_outer_contours_at_half_the_height_of_the_mask(seed: int) -> None:
    """With the same first point and the same direction; points on straight lines are left out."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.normal(size=(17, 23)), rng.choice([0.1, 1.0, 2.0]))
    mask = noise > np.quantile(noise, rng.choice([0.3, 0.5, 0.8]))
    regions, _ = label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(regions.ravel())[1:]
    for outline, number in zip(outlines(mask)[0], np.argsort(-sizes, kind="stable") + 1, strict=True):
        contours = find_contours(np.pad(regions == number, 1).astype(float), 0.5, fully_connected="high")
        outer = max(contours, key=lambda contour: np.ptp(contour[:, 0]))[:, ::-1] - 0.5
        turns = [
            k
            for k in range(1, len(outer) - 1)
            if tuple(outer[k + 1] - outer[k]) != tuple(outer[k] - outer[k - 1])
        ]
        np.testing.assert_array_equal(outline.points, outer[[0, *turns, -1]])


def test_outlines_of_an_empty_mask_and_of_pixels_at_its_edges() -> None:
    assert outlines(np.zeros((3, 4), bool)) == ((), 0)
    (whole,), count = outlines(np.ones((2, 3), bool))
    assert (count, whole.area_px) == (1, 6)
    # From the middle of the lower side of the last pixel to the left, with half a pixel cut off each corner.
    assert whole.points.tolist() == [
        [2.5, 2.0], [0.5, 2.0], [0.0, 1.5], [0.0, 0.5], [0.5, 0.0], [2.5, 0.0], [3.0, 0.5], [3.0, 1.5],
        [2.5, 2.0],
    ]  # fmt: skip
