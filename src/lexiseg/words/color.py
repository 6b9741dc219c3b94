"""Mean colour of a lesion, and the named colour nearest to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

#: CIELAB coordinates (D65): lightness 0..100, green-red, blue-yellow.
Lab = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class MeanColor:
    """Mean colour of a lesion.

    Attributes:
        lab: The mean sRGB colour in CIELAB.
        grey_image: Whether the image's channels are all equal; no lesion in such an image has a colour.
    """

    lab: Lab
    grey_image: bool

    @property
    def lightness(self) -> float:
        """L*: 0 black, 100 white."""
        return self.lab[0]


def mean_lab(image: Pixels, lesion: NDArray[np.bool_]) -> MeanColor:
    """Return the mean colour of the image where the lesion is.

    Args:
        image: (H, W) grey or (H, W, 3) sRGB, uint8.
        lesion: (H, W) bool, at least one pixel set.
    """
    pixels = image[lesion].reshape(int(lesion.sum()), -1)
    # Integer sums do not depend on the order of the pixels: a mirrored image has exactly the same mean.
    mean = np.broadcast_to(pixels.sum(axis=0, dtype=np.int64) / len(pixels), (3,))
    grey = image.ndim == 2 or bool(
        np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 1], image[..., 2])
    )
    return MeanColor(lab=_lab(mean.tolist()), grey_image=grey)


def nearest_color(lab: Lab, examples: Mapping[str, Sequence[tuple[int, int, int]]]) -> str:
    """Return the name whose nearest example (sRGB, 0..255) has the smallest CIE76 distance to `lab`."""
    return min(examples, key=lambda name: min(_distance(lab, _lab(rgb)) for rgb in examples[name]))


def _distance(a: Lab, b: Lab) -> float:
    from skimage.color import deltaE_cie76

    return float(deltaE_cie76(a, b))  # type: ignore[no-untyped-call]


def _lab(rgb: Sequence[float]) -> Lab:
    # Not at the top: it takes longer to load than a prediction, and few vocabularies have words about colour.
    from skimage.color import rgb2lab

    lightness, red, yellow = rgb2lab(np.asarray(rgb, dtype=np.float64) / 255).tolist()
    return (lightness, red, yellow)
