"""One lesion with its image: the quantities that measuring rules ask for, each computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexiseg.words.color import MeanColor, Pixels, mean_lab, nearest_color
from lexiseg.words.half_features import Half
from lexiseg.words.lesion_regions import LesionRegions, Shape, half_profile

Labels = NDArray[Any]


class LesionScene:
    """One lesion and its image.

    Args:
        lesion: (H, W) bool, at least one pixel set.
        image: (H, W) or (H, W, 3) uint8; None where it is not known.
    """

    def __init__(self, lesion: NDArray[np.bool_], image: Pixels | None) -> None:
        self._lesion = lesion
        self._image = image
        self._regions = LesionRegions(lesion)
        self._profiles: dict[tuple[Half, float, float], dict[str, float]] = {}

    @property
    def share(self) -> float:
        """The lesion's share of the image, 0..1."""
        return float(np.count_nonzero(self._lesion) / self._lesion.size)

    @property
    def shape(self) -> Shape:
        """Shape of the largest region."""
        return self._regions.largest_shape()

    @cached_property
    def mean_color(self) -> MeanColor | None:
        """Mean colour of the lesion; None without an image."""
        return None if self._image is None else mean_lab(self._image, self._lesion)

    def count_regions(self, min_region: float) -> int:
        """Return the number of connected regions that cover at least `min_region` of the image."""
        return int(self._regions.kept(min_region).sum())

    def offset(self, min_region: float) -> tuple[float, float]:
        """Return how far the centroid lies down and right of the middle; see `LesionRegions.offset`."""
        return self._regions.offset(min_region)

    def profile(self, half: Half, *, min_region: float, min_part: float) -> dict[str, float]:
        """Return where the lesion lies within one half; see `LesionRegions.half` and `half_profile`."""
        key = (half, min_region, min_part)
        if key not in self._profiles:
            part = self._regions.half(half, min_region=min_region, min_part=min_part)
            self._profiles[key] = half_profile(part, self._lesion.size)
        return self._profiles[key]

    def nearest_color(self, examples: Mapping[str, Sequence[tuple[int, int, int]]]) -> str | None:
        """Return the name of the colour nearest to the mean; None for a grey image or without an image."""
        color = self.mean_color
        return None if color is None or color.grey_image else nearest_color(color.lab, examples)


def lesion_of(label_map: Labels, label: int | None = None) -> NDArray[np.bool_]:
    """Return (H, W) bool: where a label map holds `label`, or anything but background.

    Args:
        label_map: (H, W) integers or bool, 0 is background.
        label: The label; None takes all labels together.

    Raises:
        ValueError: The label map is not a 2-D array of integers or bool.
    """
    if label_map.ndim != 2 or label_map.dtype.kind not in "biu":
        raise ValueError(
            f"expected a 2-D label map of integers or bool, got shape {label_map.shape} of {label_map.dtype}"
        )
    lesion: NDArray[np.bool_] = label_map != 0 if label is None else label_map == label
    return lesion


def scene_of(lesion: NDArray[np.bool_], image: Pixels | None = None) -> LesionScene | None:
    """Return the scene of a mask; None if the mask is empty.

    Args:
        lesion: (H, W) bool.
        image: (H, W) or (H, W, 3) uint8; None where it is not known.

    Raises:
        ValueError: The image is not uint8 of the same height and width.
    """
    if image is not None:
        shape = lesion.shape
        if image.dtype != np.uint8 or image.shape not in (shape, (*shape, 3)):
            raise ValueError(
                f"expected a uint8 image of shape {shape} or {(*shape, 3)}, got {image.shape} of "
                f"{image.dtype}"
            )
    return LesionScene(lesion, image) if lesion.any() else None
