"""Outlines of a mask as polygons in image coordinates, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label
from skimage.draw import polygon2mask
from skimage.measure import find_contours

#: At most this many regions of a segment get an outline, the largest first.
MOST_OUTLINES = 50


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
    largest = np.argsort(-sizes, kind="stable")[:MOST_OUTLINES]
    boxes = find_objects(regions)
    return tuple(_outline(regions[boxes[i]] == i + 1, boxes[i]) for i in largest), int(count)


def region_of(outline: Outline, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in an outline, `(H, W)` bool."""
    inside = polygon2mask(shape, outline.points[:, ::-1] - 0.5)  # type: ignore[no-untyped-call]
    return np.asarray(inside, dtype=np.bool_)


def _outline(region: npt.NDArray[np.bool_], box: tuple[slice, slice]) -> Outline:
    """Return the outline of a region, which fills its box of the image."""
    # Regions are joined at corners, and so is their outline.
    lines = find_contours(  # type: ignore[no-untyped-call]
        np.pad(region, 1).astype(np.float64), 0.5, fully_connected="high"
    )
    outer = max(lines, key=lambda line: float(np.ptp(line[:, 0])))  # the others surround holes
    corner = np.array([box[1].start, box[0].start])
    return Outline(points=_corners(outer)[:, ::-1] - 1 + 0.5 + corner, area_px=int(np.count_nonzero(region)))


def _corners(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the points of a line `(N, 2)` at which it turns, and both its ends.

    Contours of masks run through multiples of 1/2, so the products below are exact.
    """
    steps = np.diff(line, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    corners: npt.NDArray[np.float64] = line[np.concatenate([[True], turns, [True]])]
    return corners
