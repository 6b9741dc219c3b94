"""Geometric transforms of image and labels together, with their effect on the words.

Images are (H, W, C) uint8 with one or three channels, labels (H, W) uint8. The classmethod `draw` takes
random parameters from a numpy generator; applying a transform is deterministic. Pixels from outside the image
are black and background; `Elastic` repeats the border instead. `apply_words` returns the words of the
transformed sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from lexiseg.data.grey import Pixels
from lexiseg.data.resize import from_pil, to_pil
from lexiseg.words.description import UNKNOWN, Indices, Side, Source
from lexiseg.words.factor import Factor
from lexiseg.words.flips import AXES, Axis, flip
from lexiseg.words.measure import measure_indices
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary

#: Cells across the image between the control points of `Elastic`.
_CELLS = 6

#: Largest displacement of `Elastic`, as a share of the image, that cannot fold it: neighbouring control
#: points move apart or together by at most twice as much over a cell, along two axes, and 4 * _CELLS * it is
#: below 1.
MAX_DISPLACEMENT = 0.04


class Transform(Protocol):
    """A geometric transform."""

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the transformed image (H, W, C) and labels (H, W)."""

    def apply_words(
        self,
        indices: Indices,
        vocabulary: Vocabulary,
        labels_before: Pixels,
        labels_after: Pixels,
        source: Source,
        *,
        side: Side | None = None,
    ) -> Indices:
        """Return the factor indices of the transformed sample.

        Args:
            indices: One index per factor before the transform; `UNKNOWN` allowed.
            vocabulary: The vocabulary they belong to.
            labels_before: (H, W) labels before the transform.
            labels_after: (H', W') labels after it.
            source: Where the words come from. Measured words ("concepts") are measured again, except shapes;
                all others are kept only where the measurement is the same before and after.
            side: Side convention of the words; None for the vocabulary's own.

        Returns:
            One index per factor; `UNKNOWN` where the words may no longer be true.
        """


@dataclass(frozen=True)
class _Flip:
    """Mirror along an axis, which subclasses name."""

    def apply_words(
        self,
        indices: Indices,
        vocabulary: Vocabulary,
        labels_before: Pixels,
        labels_after: Pixels,
        source: Source,
        *,
        side: Side | None = None,
    ) -> Indices:
        """Swap the opposites in every word; see `Transform.apply_words`."""
        return flip(vocabulary, indices, self._axis())

    def _axis(self) -> Axis:
        raise NotImplementedError


@dataclass(frozen=True)
class HorizontalFlip(_Flip):
    """Mirror left and right, in the words too."""

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the mirrored image and labels."""
        return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])

    def _axis(self) -> Axis:
        return "horizontal"


@dataclass(frozen=True)
class VerticalFlip(_Flip):
    """Mirror upper and lower, in the words too."""

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the mirrored image and labels."""
        return np.ascontiguousarray(image[::-1]), np.ascontiguousarray(labels[::-1])

    def _axis(self) -> Axis:
        return "vertical"


@dataclass(frozen=True)
class _Remeasured:
    """A transform after which words are measured again."""

    def apply_words(
        self,
        indices: Indices,
        vocabulary: Vocabulary,
        labels_before: Pixels,
        labels_after: Pixels,
        source: Source,
        *,
        side: Side | None = None,
    ) -> Indices:
        """Measure the words again where possible; see `Transform.apply_words`."""
        before = measure_indices(labels_before, vocabulary, side=side)
        after = measure_indices(labels_after, vocabulary, side=side)
        lesion_stays = bool(labels_after.any())
        kept = []
        for factor, index, was, now in zip(vocabulary.factors, indices, before, after, strict=True):
            if not factor.measurable_on_mask:
                stays = lesion_stays and not _names_place(factor, vocabulary)
                kept.append(index if stays else UNKNOWN)
            elif source == "concepts" and not (factor.measure and factor.measure.needs_proportions):
                kept.append(now)
            else:
                # Shapes too: these labels may have been resized to a square, which makes a disc an oval.
                kept.append(index if was == now else UNKNOWN)
        return tuple(kept)


@dataclass(frozen=True, kw_only=True)
class Affine(_Remeasured):
    """Rotate about the centre, scale and shift; the grid keeps its size.

    Attributes:
        angle_deg: Rotation, counter-clockwise as seen on screen.
        scale: Magnification, above 0.
        shift: Movement (down, right) as a share of height and width.
    """

    angle_deg: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        *,
        max_angle_deg: float = 10.0,
        max_scale: float = 0.1,
        max_shift: float = 0.05,
    ) -> Affine:
        """Draw angle, scale (within 1 +- max_scale) and shift uniformly."""
        angle, scale, down, right = rng.uniform(-1.0, 1.0, size=4).tolist()
        return cls(
            angle_deg=angle * max_angle_deg,
            scale=1.0 + scale * max_scale,
            shift=(down * max_shift, right * max_shift),
        )

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the image (bilinear) and labels (nearest) on the same grid."""
        matrix = self._output_to_input(labels.shape[0], labels.shape[1])
        size = (labels.shape[1], labels.shape[0])
        warped = to_pil(image).transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        moved = Image.fromarray(labels).transform(
            size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
        )
        return from_pil(warped, image.shape[2]), np.array(moved)

    def _output_to_input(self, height: int, width: int) -> tuple[float, ...]:
        """Return the affine matrix (a, b, c, d, e, f) from output (x, y) to input (ax + by + c, dx + ey + f).

        Coordinates are continuous: pixel i covers [i, i + 1), so the centre of the image is (width, height) /
        2.
        """
        cosine = math.cos(math.radians(self.angle_deg)) / self.scale
        sine = math.sin(math.radians(self.angle_deg)) / self.scale
        centre_x, centre_y = width / 2, height / 2
        from_x, from_y = centre_x + self.shift[1] * width, centre_y + self.shift[0] * height
        # y points down, so a counter-clockwise turn on screen is (x cos + y sin, -x sin + y cos); this is its
        # inverse.
        return (
            cosine,
            -sine,
            centre_x - cosine * from_x + sine * from_y,
            sine,
            cosine,
            centre_y - sine * from_x - cosine * from_y,
        )


@dataclass(frozen=True, kw_only=True)
class Elastic(_Remeasured):
    """Deform smoothly and without folds; neighbouring pixels move alike.

    The displacement is a uniform cubic B-spline (Rueckert et al., doi 10.1109/42.796284) over a grid of
    control points that are displaced independently. The image continues beyond its border as its border
    pixels.

    Attributes:
        pattern: Seed of the displacements, at least 0.
        max_displacement: Bound of a pixel's movement along each axis, as a share of height and width,
            0..`MAX_DISPLACEMENT`.
    """

    pattern: int
    max_displacement: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, max_displacement: float = 0.02) -> Elastic:
        """Draw the displacements of all control points uniformly within +- max_displacement."""
        return cls(pattern=int(rng.integers(2**63)), max_displacement=max_displacement)

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the image (bilinear) and labels (nearest) on the same grid."""
        rows, columns = self._sources(labels.shape[0], labels.shape[1])
        deformed = [
            ndimage.map_coordinates(image[..., channel], (rows, columns), output=np.float32, order=1)
            for channel in range(image.shape[2])
        ]
        moved = labels[np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp)]
        return np.rint(np.stack(deformed, axis=-1)).astype(np.uint8), moved

    def _sources(self, height: int, width: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return per output pixel the row and the column, (H, W) each, of its source in the image."""
        points = np.random.default_rng(self.pattern).uniform(-1, 1, size=(2, _CELLS + 3, _CELLS + 3))
        down, right = self.max_displacement * (_spline(height) @ points @ _spline(width).T)
        rows = np.arange(height)[:, None] + height * down
        columns = np.arange(width)[None, :] + width * right
        return np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)


@lru_cache(maxsize=8)
def _spline(length: int) -> npt.NDArray[np.float64]:
    """Return the cubic B-spline weights (length, _CELLS + 3) of the control points, per pixel of an axis."""
    place = (np.arange(length) + 0.5) / length * _CELLS
    cell = place.astype(int)
    t = place - cell
    weights = np.zeros((length, _CELLS + 3))
    basis = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for offset, weight in enumerate(basis):
        weights[np.arange(length), cell + offset] = weight / 6
    return weights


def words_follow(vocabulary: Vocabulary) -> bool:
    """Return whether words can be updated when an image is rotated, scaled, shifted or deformed.

    They cannot where a factor names places ("in the upper left") that no rule measures, as in vocabularies
    made from a sheet. `Affine` and `Elastic` would make such factors unknown, so training does not use them
    there.
    """
    return not any(
        not factor.measurable_on_mask and _names_place(factor, vocabulary) for factor in vocabulary.factors
    )


def _names_place(factor: Factor, vocabulary: Vocabulary) -> bool:
    """Return whether a phrase of the factor contains a word such as "left" or "upper"."""
    places = {word for axis in AXES for pair in getattr(vocabulary.opposites, axis) for word in pair}
    return any(not places.isdisjoint(split_words(phrase)) for phrase in factor.phrases)
