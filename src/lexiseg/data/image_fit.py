"""How an image fits the square picture that a network sees: stretched, padded, or cut into tiles.

stretch    the whole image is resized to the square; its aspect ratio is lost
pad        the whole image is resized so that its longer side fills the square; the rest is no image
tiles      square windows slide over the image at its own pixels; each is a picture

Shape legend: H, W size of the image, S side of the square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lexiseg.data.grey import Pixels
from lexiseg.data.resize import resize_image, resize_labels

#: How an image fits the picture that a network sees.
Fit = Literal["stretch", "pad", "tiles"]

#: Neighbouring tiles share at least this part of their side, so that no lesion is seen at the border of all.
OVERLAP = 0.25


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns, as the index of an array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a part of an image lies in the picture that a network sees.

    Attributes:
        part: The part, in pixels of the image.
        inner: Its place in the picture. The part is resized to it; what is around it is no image.
        side: Height and width S of the picture.
    """

    part: Box
    inner: Box
    side: int

    def draw(self, image: Pixels) -> Pixels:
        """Return the picture `(S, S, C)` of an image `(H, W, C)` uint8, black where there is no image."""
        shown = resize_image(image[self.part.place], (self.inner.height, self.inner.width))
        if self._is_full:
            return shown
        picture = np.zeros((self.side, self.side, image.shape[2]), np.uint8)
        picture[self.inner.place] = shown
        return picture

    def draw_labels(self, labels: Pixels) -> Pixels:
        """Return labels `(S, S)` for the labels `(H, W)` uint8 of an image, 0 where there is no image."""
        shown = resize_labels(labels[self.part.place], (self.inner.height, self.inner.width))
        if self._is_full:
            return shown
        picture = np.zeros((self.side, self.side), np.uint8)
        picture[self.inner.place] = shown
        return picture

    def inside(self) -> Pixels:
        """Return where the picture shows the image, `(S, S)` uint8: 1, or 0 where there is no image."""
        inside = np.zeros((self.side, self.side), np.uint8)
        inside[self.inner.place] = 1
        return inside

    def inner_of(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the scores `(..., h, w)` of the image itself, for scores `(..., S, S)` of the picture."""
        return scores if self._is_full else scores[(..., *self.inner.place)]

    @property
    def _is_full(self) -> bool:
        return self.inner == (0, 0, self.side, self.side)


def stretched(size: tuple[int, int], side: int) -> Placement:
    """Return where a whole image of `size` (H, W) lies in a picture that it fills."""
    return Placement(part=Box(0, 0, *size), inner=Box(0, 0, side, side), side=side)


def padded(size: tuple[int, int], side: int) -> Placement:
    """Return where a whole image of `size` (H, W) lies in a picture that keeps its aspect ratio: centred."""
    return Placement(part=Box(0, 0, *size), inner=_centred(padded_size(size, side), side), side=side)


def padded_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size (h, w) to which an image of `size` (H, W) is resized: its longer side becomes S."""
    scale = side / max(size)
    height, width = (max(1, round(length * scale)) for length in size)
    return height, width


def window(box: Box, side: int) -> Placement:
    """Return where a part of an image lies in a picture at the image's own pixels: centred.

    Args:
        box: The part, at most S high and wide.
        side: Height and width S of the picture.
    """
    return Placement(part=box, inner=_centred((box.height, box.width), side), side=side)


def tiles(size: tuple[int, int], side: int) -> list[Placement]:
    """Return the tiles of an image of `size` (H, W), row by row; together they cover it.

    Along each axis they are spread evenly, and neighbours share at least `OVERLAP` of their side. An image
    that is smaller than a tile along an axis is padded along it.
    """
    rows, columns = (_starts(length, side) for length in size)
    height, width = (min(length, side) for length in size)
    return [window(Box(top, left, height, width), side) for top in rows for left in columns]


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles start along an axis."""
    if length <= side:
        return [0]
    step = side - math.ceil(OVERLAP * side)
    count = math.ceil((length - side) / max(1, step)) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _centred(size: tuple[int, int], side: int) -> Box:
    height, width = size
    return Box((side - height) // 2, (side - width) // 2, height, width)
