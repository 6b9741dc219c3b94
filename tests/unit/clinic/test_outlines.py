"""Outlines of masks as polygons."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, gaussian_filter, label
from skimage.measure import approximate_polygon

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
