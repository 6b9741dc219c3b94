"""Outlines of a mask as polygons in image coordinates, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from skimage.draw import polygon2mask

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
    numbers = regions[mask] - 1
    sizes = np.bincount(numbers, minlength=count)
    padded = np.pad(mask, 1)
    last = np.zeros(count, np.intp)
    last[numbers] = np.flatnonzero(padded)  # of all pixels of a region, the last one stays
    content, width = padded.tobytes(), padded.shape[1]
    found = []
    for number in np.argsort(-sizes, kind="stable")[:MOST_OUTLINES].tolist():
        border = _border(content, width, int(last[number]))
        found.append(Outline(points=_corners(border)[:, ::-1] - 0.5, area_px=int(sizes[number])))
    return tuple(found), int(count)


def region_of(outline: Outline, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie in an outline, `(H, W)` bool."""
    inside = polygon2mask(shape, outline.points[:, ::-1] - 0.5)  # type: ignore[no-untyped-call]
    return np.asarray(inside, dtype=np.bool_)


def _border(is_region: bytes, width: int, last: int) -> npt.NDArray[np.float64]:
    """Return the outer border of a region: rows and columns `(N, 2)` of the middle of each side of a pixel.

    These are the points of `skimage.measure.find_contours` at level 0.5, in its order. It follows the borders
    of holes too, and takes several times as long. Pixels are joined at corners.

    Args:
        is_region: Whether each pixel belongs to a region; those at the edges of the image do not.
        width: Pixels per row.
        last: Position of the last pixel of the region.
    """
    # A walk along the border with the region on the right: at first to the west, below the last pixel.
    inside, forward, left = last, -1, width
    insides: list[int] = []
    outsides: list[int] = []
    while not insides or inside != last or left != width:
        insides.append(inside)
        outsides.append(inside + left)
        ahead = inside + forward
        if is_region[ahead + left]:
            inside, forward, left = ahead + left, left, -forward
        elif is_region[ahead]:
            inside = ahead
        else:
            forward, left = -left, forward
    pixels = (np.fromiter(positions, np.intp) for positions in ([*insides, last], [*outsides, last + width]))
    border: npt.NDArray[np.float64] = np.mean([np.divmod(positions, width) for positions in pixels], axis=0).T
    return border


def _corners(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the points of a line `(N, 2)` at which it turns, and both its ends.

    Contours of masks run through multiples of 1/2, so the products below are exact.
    """
    steps = np.diff(line, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    corners: npt.NDArray[np.float64] = line[np.concatenate([[True], turns, [True]])]
    return corners
