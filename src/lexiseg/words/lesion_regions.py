"""Geometry of the lesion in a label map: its connected regions, its halves, and the shape of a region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lexiseg.words.half_features import ROW_NAMES, ROW_SHARES, Half

#: Pixels that touch at a corner belong together. In COVID-Xray's training sheet, the stated number of areas
#: equals the number of regions in 99.95 % of the cases with 8 neighbours and in 98.4 % with 4 (specks count).
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)

#: Rounding makes the shape values of a region and of its mirror image equal, so their words are equal too.
_SHAPE_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of one region. Pixels are squares, so a single pixel has a solidity of 1.

    Attributes:
        circularity: 4 pi area / perimeter^2 (Crofton perimeter, 4 directions), 1 for a disc;
            values above 1 become 1.
        eccentricity: Of the ellipse with the same second moments: 0 for a disc, towards 1 for a line.
        solidity: Area over the area of the convex hull, in (0, 1].
    """

    circularity: float
    eccentricity: float
    solidity: float


class LesionRegions:
    """Connected regions (8 neighbours) of a lesion mask.

    Args:
        lesion: (H, W) bool, at least one pixel set.

    Attributes:
        shape: Height and width of the image, in pixels.
        areas: (N,) intp, pixels per region.
    """

    def __init__(self, lesion: NDArray[np.bool_]) -> None:
        self.shape: tuple[int, int] = (lesion.shape[0], lesion.shape[1])
        self._lesion = lesion
        self._labels: NDArray[np.int32] = np.zeros(lesion.shape, np.int32)
        # Labelling takes the most time, and the smallest box around the lesion is a third of a chest image.
        box = _box(lesion)
        self._count = int(ndimage.label(lesion[box], structure=_EIGHT_NEIGHBOURS, output=self._labels[box]))
        pixels = np.flatnonzero(lesion)
        self._columns: NDArray[np.intp] = pixels % lesion.shape[1]
        self._label_of_pixel: NDArray[np.int32] = self._labels.ravel()[pixels]
        self.areas: NDArray[np.intp] = self._areas_of(self._label_of_pixel)

    def kept(self, min_region: float) -> NDArray[np.bool_]:
        """Return (N,) bool: whether a region covers at least `min_region` of the image, or is the largest."""
        threshold = min(min_region * self.shape[0] * self.shape[1], float(self.areas.max()))
        return self.areas >= threshold

    def half(self, half: Half, *, min_region: float, min_part: float) -> NDArray[np.bool_]:
        """Return the lesion in one half of the image, seen from the image's edge.

        A region belongs to a half if at least `min_part` of its pixels lie there: a lesion that extends a
        little across the midline is not counted in both lungs. The middle column of an odd width
        belongs to both halves, which makes the halves of a mirrored image the mirrored halves, exactly.

        Args:
            half: Which half.
            min_region: LesionRegions of a smaller share of the image are ignored, except the largest.
            min_part: Share of a region that must lie in the half, 0..0.5.

        Returns:
            (H, ceil(W / 2)) bool; column 0 is at the image's edge, the last one at the midline.
        """
        columns = (self.shape[1] + 1) // 2
        inwards = np.s_[:, :columns] if half == "left" else np.s_[:, : -columns - 1 : -1]
        inside = self._columns < columns if half == "left" else self._columns >= self.shape[1] - columns
        parts = self._areas_of(self._label_of_pixel[inside])
        belongs = self.kept(min_region) & (parts >= min_part * self.areas) & (parts > 0)
        if np.array_equal(belongs, parts > 0):  # the usual case: no region is left out
            return self._lesion[inwards]
        chosen: NDArray[np.bool_] = np.concatenate([[False], belongs])[self._labels[inwards]]
        return chosen

    def offset(self, min_region: float) -> tuple[float, float]:
        """Return how far the lesion's centroid lies from the image's middle.

        Returns:
            Down and right offset as shares of height and width, -0.5..0.5; mirrored masks negate them
            exactly.
        """
        flags = np.concatenate([[False], self.kept(min_region)])
        rows, columns = np.nonzero(flags[self._labels])
        height, width = self.shape
        # Twice the distance of pixel centres from the middle is an integer: sums are exact in any order.
        down = int((2 * rows + 1 - height).sum()) / (2 * rows.size * height)
        right = int((2 * columns + 1 - width).sum()) / (2 * rows.size * width)
        return down, right

    def largest_shape(self) -> Shape:
        """Return the shape of the largest region; of several equally large ones, the least round."""
        shapes = (
            region_shape(self._labels[box] == index + 1)
            for index, box in enumerate(ndimage.find_objects(self._labels))
            if self.areas[index] == self.areas.max()
        )
        return min(shapes, key=lambda s: (s.circularity, s.solidity, -s.eccentricity))

    def _areas_of(self, labels: NDArray[np.int32]) -> NDArray[np.intp]:
        """Return (N,) intp: pixels per region, for the labels of some lesion pixels."""
        counts: NDArray[np.intp] = np.bincount(labels, minlength=self._count + 1)[1:]
        return counts


def _box(lesion: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around a lesion of at least one pixel."""
    rows, columns = np.flatnonzero(lesion.any(axis=1)), np.flatnonzero(lesion.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def region_shape(region: NDArray[np.bool_]) -> Shape:
    """Return the shape of one region.

    Args:
        region: (h, w) bool, at least one pixel set.
    """
    # Not at the top: they take longer to load than a prediction, and few vocabularies have words of shape.
    from scipy.spatial import ConvexHull
    from skimage.measure import perimeter_crofton

    area = int(np.count_nonzero(region))
    perimeter = float(perimeter_crofton(region, directions=4))  # type: ignore[no-untyped-call]
    # Corners of each row's outermost pixels: the hull of a single pixel is that pixel.
    rows = np.flatnonzero(region.any(axis=1))
    first, last = region[rows].argmax(axis=1), region.shape[1] - region[rows, ::-1].argmax(axis=1)
    corners = [np.stack([y, x], axis=1) for y in (rows, rows + 1) for x in (first, last)]
    hull = float(ConvexHull(np.concatenate(corners)).volume)
    return Shape(
        circularity=round(min(4 * np.pi * area / perimeter**2, 1.0), _SHAPE_DECIMALS),
        eccentricity=round(_eccentricity(region), _SHAPE_DECIMALS),
        solidity=round(area / hull, _SHAPE_DECIMALS),
    )


def _eccentricity(region: NDArray[np.bool_]) -> float:
    """Return sqrt(1 - minor / major), from the eigenvalues of the second moments (1 / 12: a pixel's own)."""
    rows, columns = np.nonzero(region)
    y, x = rows - rows.mean(), columns - columns.mean()
    yy, xx, xy = (y * y).mean() + 1 / 12, (x * x).mean() + 1 / 12, (x * y).mean()
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    return float(np.sqrt(max(1 - (middle - spread) / (middle + spread), 0.0)))


def half_profile(half: NDArray[np.bool_], image_pixels: int) -> dict[str, float]:
    """Return where the lesion lies within one half of the image, independent of the image's size.

    Args:
        half: (H, W') bool, column 0 at the image's edge (see `LesionRegions.half`).
        image_pixels: Pixels of the whole image.

    Returns:
        All zero if the half is empty, else: `present` 1; `top`, `bottom` (edges of the lesion), `row_5` to
        `row_95` (the row above which that percentage of its pixels lies) as shares of the height, from the
        top;
        `outer`, `inner` (distance from the image's edge and from the midline) as shares of the half's width;
        `area` as share of the image; `split` 1 if lesion-free rows separate parts of the lesion, else 0.
    """
    names = ("present", "top", "bottom", *ROW_NAMES, "outer", "inner", "area", "split")
    rows = half.sum(axis=1, dtype=np.int32)
    filled = np.flatnonzero(rows)
    if filled.size == 0:
        return dict.fromkeys(names, 0.0)
    height, width = half.shape
    columns = np.flatnonzero(half.any(axis=0))
    above = np.cumsum(rows)
    total = int(above[-1])
    targets = np.multiply(ROW_SHARES, total)
    hit = np.searchsorted(above, targets)
    within = (targets - (above[hit] - rows[hit])) / rows[hit]
    values = (
        1.0,
        filled[0] / height,
        (filled[-1] + 1) / height,
        *((hit + within) / height),
        columns[0] / width,
        (width - 1 - columns[-1]) / width,
        total / image_pixels,
        float(filled[-1] - filled[0] >= filled.size),
    )
    return dict(zip(names, map(float, values), strict=True))
