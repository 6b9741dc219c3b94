"""Outlines of a mask as polygons in image coordinates, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes, label
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon, find_contours

#: At most this many regions of a segment get an outline, the largest first.
MOST_OUTLINES = 50

# Corners closer than this to the line of their neighbours are left out: none that changes a pixel.
_COLLINEAR = 1e-6


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One region of a mask, holes filled.

    Attributes:
        points: `(N, 2)` float columns and rows; (0, 0) is the upper left corner of the image, as in SCOORD.
            The last point is the first one.
        area_px: Number of pixels of the region, holes left out.
    """

    points: npt.NDArray[np.float64]
    area_px: int


def outlines(mask: npt.NDArray[np.bool_]) -> tuple[tuple[Outline, ...], int]:
    """Return the outlines of the largest regions, and the number of all regions.

    Args:
        mask: `(H, W)` bool.
    """
    regions, count = label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:MOST_OUTLINES] + 1
    return tuple(_outline(regions == number) for number in largest), int(count)


def region_of(outline: Outline, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in an outline, `(H, W)` bool."""
    inside = polygon2mask(shape, outline.points[:, ::-1] - 0.5)  # type: ignore[no-untyped-call]
    return np.asarray(inside, dtype=np.bool_)


def _outline(region: npt.NDArray[np.bool_]) -> Outline:
    filled = np.pad(binary_fill_holes(region), 1)
    # Regions are joined at corners, and so is their outline.
    lines = find_contours(  # type: ignore[no-untyped-call]
        filled.astype(np.float64), 0.5, fully_connected="high"
    )
    longest = max(lines, key=len)
    corners = approximate_polygon(longest, _COLLINEAR)  # type: ignore[no-untyped-call]
    return Outline(points=corners[:, ::-1] - 1 + 0.5, area_px=int(np.count_nonzero(region)))
