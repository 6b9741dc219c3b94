"""Which fit suits a data set, by the sizes of its images and of their lesions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lexiseg.data.grey import Pixels
from lexiseg.data.image_fit import Fit

#: Images are large where their longer side is at least this many times that of the network's pictures.
LARGE = 1.5
#: A lesion that is less than this many pixels wide in a picture is hard to segment.
NARROW_PX = 10.0
#: Shapes of images differ where the widest are at least this many times as wide for their height as the
#: narrowest, 5 % of the images at each end left out.
DIFFERENT_SHAPES = 1.5
# Tiles are better for small lesions (docs/results.md). Padding keeps shapes, but shows fewer pixels of an
# image than stretching: which of both counts more depends on the lesions.
_EXPECTED = {"tiles": "is likely better than stretch", "pad": "may be better than stretch"}


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What is known of one image.

    Attributes:
        size: Height and width in pixels.
        lesion_px: Width of its lesions in pixels (`lesion_width`); None where it has none, or no mask was
            read.
    """

    size: tuple[int, int]
    lesion_px: float | None = None


@dataclass(frozen=True, kw_only=True)
class FitSuggestion:
    """The fit that suits a data set.

    Attributes:
        fit: The fit.
        reason: Why, as the end of a sentence after "because"; None for "stretch".
    """

    fit: Fit
    reason: str | None = None

    def sentence(self) -> str | None:
        """Return the suggestion for people; None where images are best stretched, which is the default."""
        if self.reason is None:
            return None
        return f"fit: {self.fit} {_EXPECTED[self.fit]}, because {self.reason}."


def suggest_fit(facts: Sequence[ImageFacts], image_size: int) -> FitSuggestion:
    """Return the fit that suits some images.

    Tiles, where images are large and their lesions would be narrow in one picture; else padding, where shapes
    of images differ, so that stretching would deform each differently; else stretching.

    Args:
        facts: What is known of the images.
        image_size: Side of the network's pictures in pixels.
    """
    if not facts:
        return FitSuggestion(fit="stretch")
    widths = [image.lesion_px for image in facts if image.lesion_px is not None]
    if is_large([image.size for image in facts], image_size) and widths:
        height, width = (int(np.median([image.size[axis] for image in facts])) for axis in (0, 1))
        lesion = float(np.median(widths))
        shown = lesion * image_size / max(height, width)
        if shown < NARROW_PX and lesion <= image_size / 2:
            return FitSuggestion(
                fit="tiles",
                reason=f"lesions are {lesion:.0f} pixels wide in images of {width} x {height} pixels, and "
                f"only {shown:.1f} pixels in a picture of {image_size} x {image_size} (medians)",
            )
    shapes = [image.size[1] / image.size[0] for image in facts]
    narrowest, widest = (float(limit) for limit in np.quantile(shapes, (0.05, 0.95)))
    if widest / narrowest >= DIFFERENT_SHAPES:
        return FitSuggestion(
            fit="pad",
            reason=f"the images are {narrowest:.2g} to {widest:.2g} times as wide as high, and stretching "
            f"deforms each differently",
        )
    return FitSuggestion(fit="stretch")


def is_large(sizes: Sequence[tuple[int, int]], image_size: int) -> bool:
    """Return whether images (H, W), in the median, are large for pictures of side `image_size`."""
    return float(np.median([max(size) for size in sizes])) >= LARGE * image_size


def lesion_width(labels: Pixels) -> float | None:
    """Return the median width of the lesions in a mask `(H, W)` uint8, in pixels; None if it holds none.

    A lesion is a connected region of any label; its width is that of a disc of the same area.
    """
    regions, count = ndimage.label(labels > 0, structure=np.ones((3, 3)))
    if not count:
        return None
    areas = np.bincount(regions.ravel())[1:]
    return math.sqrt(4 * float(np.median(areas)) / math.pi)
