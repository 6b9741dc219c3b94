"""Geometric transforms that keep image, labels and words together.

Images are (H, W, C) uint8 with one or three channels, labels (H, W) uint8. Random parameters are drawn from a
passed numpy generator by the classmethods `draw`; a transform itself is a value, and applying it is
deterministic. Pixels from outside the image are black and background. Each transform says what becomes of the
words, in `apply_words`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.words.description import UNKNOWN, Side, Source
from lexiseg.words.factor import Factor
from lexiseg.words.flips import AXES, Axis, flip
from lexiseg.words.measure import measure_indices
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary

Pixels = npt.NDArray[np.uint8]
Indices = tuple[int, ...]


class Transform(Protocol):
    """What every transform offers."""

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
        """Return the factor indices that are true of the transformed sample.

        Args:
            indices: One index per factor, true before; `UNKNOWN` allowed.
            vocabulary: The vocabulary they belong to.
            labels_before: (H, W) labels before the transform.
            labels_after: (H', W') labels after it.
            source: Where the words come from: measured words ("concepts") are measured again, but for shapes;
                others are kept only where the measurement says that the transform did not change them.
            side: Side convention of the words; None for the vocabulary's own.

        Returns:
            One index per factor; `UNKNOWN` where nothing is certain any more.
        """


@dataclass(frozen=True)
class _Flip:
    """Mirror along an axis; subclasses name it."""

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
    """A transform after which words must be looked at again."""

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
        """Measure again what can be measured; see `Transform.apply_words`."""
        before = measure_indices(labels_before, vocabulary, side=side)
        after = measure_indices(labels_after, vocabulary, side=side)
        lesion_stays = bool(labels_after.any())
        kept = []
        for factor, index, was, now in zip(vocabulary.factors, indices, before, after, strict=True):
            if not factor.measurable_on_mask:
                stays = lesion_stays and not _speaks_of_place(factor, vocabulary)
                kept.append(index if stays else UNKNOWN)
            elif source == "concepts" and not (factor.measure and factor.measure.needs_proportions):
                kept.append(now)
            else:
                # Shapes too: these labels may have been squashed to a square, a disc to an oval.
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
        warped = _to_pil(image).transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        moved = Image.fromarray(labels).transform(
            size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
        )
        return _from_pil(warped, image.shape[2]), np.array(moved)

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
class CropResize(_Remeasured):
    """Cut a rectangle out and resize it to the size the image had.

    Attributes:
        top: First row, as a share of the height.
        left: First column, as a share of the width.
        height: Height, as a share of the height.
        width: Width, as a share of the width.
    """

    top: float
    left: float
    height: float
    width: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, *, min_area: float = 0.7, max_stretch: float = 1.15
    ) -> CropResize:
        """Draw a rectangle anywhere: at least `min_area` of the image, stretched by up to `max_stretch`."""
        area = rng.uniform(min_area, 1.0)
        stretch = math.exp(rng.uniform(-1.0, 1.0) * math.log(max_stretch))
        height = min(1.0, math.sqrt(area * stretch))
        width = min(1.0, math.sqrt(area / stretch))
        top, left = rng.uniform(0.0, 1.0, size=2).tolist()
        return cls(top=top * (1.0 - height), left=left * (1.0 - width), height=height, width=width)

    def apply(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return the cut image (bilinear) and labels (nearest), resized to the size before."""
        rows, columns = labels.shape
        box = (
            self.left * columns,
            self.top * rows,
            (self.left + self.width) * columns,
            (self.top + self.height) * rows,
        )
        cut = _to_pil(image).resize((columns, rows), Image.Resampling.BILINEAR, box=box)
        kept = Image.fromarray(labels).resize((columns, rows), Image.Resampling.NEAREST, box=box)
        return _from_pil(cut, image.shape[2]), np.array(kept)


def words_follow(vocabulary: Vocabulary) -> bool:
    """Say whether words can be kept true when an image is cropped, turned or shifted.

    They cannot where a factor speaks of places ("in the upper left") and nothing measures it, as in
    vocabularies made from a sheet: `Affine` and `CropResize` would leave such factors unknown, so they are
    better not used there.
    """
    return not any(
        not factor.measurable_on_mask and _speaks_of_place(factor, vocabulary)
        for factor in vocabulary.factors
    )


def resize_image(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image, bilinear when enlarging and area-weighted (antialiased) when shrinking.

    Args:
        image: (H, W, C) uint8, C = 1 or 3.
        size: (rows, columns) wanted.

    Returns:
        (rows, columns, C) uint8; the same array if it has that size already.
    """
    if image.shape[:2] == size:
        return image
    resized = _to_pil(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return _from_pil(resized, image.shape[2])


def resize_labels(labels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize labels by taking the nearest pixel, so that no new value appears.

    Args:
        labels: (H, W) uint8.
        size: (rows, columns) wanted.

    Returns:
        (rows, columns) uint8; the same array if it has that size already.
    """
    if labels.shape == size:
        return labels
    return np.array(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _speaks_of_place(factor: Factor, vocabulary: Vocabulary) -> bool:
    """Say whether a phrase of the factor holds a word such as "left" or "upper"."""
    places = {word for axis in AXES for pair in getattr(vocabulary.opposites, axis) for word in pair}
    return any(not places.isdisjoint(split_words(phrase)) for phrase in factor.phrases)


def _to_pil(image: Pixels) -> Image.Image:
    """Wrap (H, W, 1) or (H, W, 3) for Pillow, whose warps of uint8 are several times faster than scipy's."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _from_pil(image: Image.Image, channels: int) -> Pixels:
    pixels = np.array(image)
    return pixels[..., None] if channels == 1 else pixels
