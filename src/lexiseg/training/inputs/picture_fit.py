"""From training images to the pictures that a network learns on, as they fit it in prediction.

stretch    the image is stretched to the picture
pad        the image keeps its aspect ratio; it is padded after all random changes
tiles      most pictures are windows of the image at its own pixels, at random places; where words are
           learned, the others show the whole image, padded: only these can teach words about the whole image

Shape legend: H, W size of an image, h, w size of what a picture shows of it, S side of a picture, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lexiseg.data.grey import Pixels
from lexiseg.data.image_fit import Box, Fit, padded_size, window
from lexiseg.data.resize import resize_image, resize_labels
from lexiseg.words.description import UNKNOWN, Source
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zones import whole_image_factors

#: Share of the pictures that show the whole image, with tiles and words.
OVERVIEW_SHARE = 0.25
#: Share of the windows that are placed on a lesion, in images that hold one.
LESION_SHARE = 0.67


@dataclass(frozen=True, kw_only=True)
class PictureFit:
    """How training images fit the pictures that a network learns on.

    Attributes:
        fit: The fit.
        side: Side S of the pictures.
    """

    fit: Fit
    side: int

    def resized(self, image: Pixels, labels: Pixels | None) -> tuple[Pixels, Pixels | None]:
        """Return an image `(H, W, C)` and its labels as they are kept for the training.

        Stretched to S x S; with padding, at the size that fits S x S; with tiles, as they are.
        """
        if self.fit == "tiles":
            return image, labels
        size = (self.side, self.side)
        if self.fit == "pad":
            size = padded_size((image.shape[0], image.shape[1]), self.side)
        return resize_image(image, size), None if labels is None else resize_labels(labels, size)

    def overview(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        """Return a whole image and its labels at the size that fits a picture."""
        size = padded_size((image.shape[0], image.shape[1]), self.side)
        return resize_image(image, size), resize_labels(labels, size)

    def in_picture(self, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels, Pixels]:
        """Return the picture `(S, S, C)` of what fits it, its labels `(S, S)`, and where it is, `(S, S)`.

        Args:
            image: `(h, w, C)` uint8, h and w at most S.
            labels: `(h, w)` uint8.

        Returns:
            All uint8; the last is 1 inside and 0 where there is no image.
        """
        place = window(Box(0, 0, image.shape[0], image.shape[1]), self.side)
        return place.draw(image), place.draw_labels(labels), place.inside()


def random_window(labels: Pixels, side: int, rng: np.random.Generator) -> Box:
    """Return a random part of an image, at most `side` high and wide.

    `LESION_SHARE` of the parts hold a lesion, if the image does: a random pixel of its lesions lies at a
    random place of the part. The other parts lie anywhere.

    Args:
        labels: `(H, W)` uint8.
        side: Largest height and width.
        rng: Where the random numbers come from.
    """
    height, width = min(side, labels.shape[0]), min(side, labels.shape[1])
    highest, widest = labels.shape[0] - height, labels.shape[1] - width
    on_lesion, row, column = rng.random(), rng.random(), rng.random()
    top, left = int(row * (highest + 1)), int(column * (widest + 1))
    lesion = np.flatnonzero(labels) if on_lesion < LESION_SHARE else np.empty(0, np.intp)
    if len(lesion):
        pixel = divmod(int(lesion[rng.integers(len(lesion))]), labels.shape[1])
        top = min(max(pixel[0] - int(row * height), 0), highest)
        left = min(max(pixel[1] - int(column * width), 0), widest)
    return Box(top, left, height, width)


def words_of_part(
    indices: tuple[int, ...], vocabulary: Vocabulary, source: Source, image: Pixels, labels: Pixels
) -> tuple[int, ...]:
    """Return the words of a whole image that are true of a part of it.

    Args:
        indices: One index per factor, `UNKNOWN` allowed.
        vocabulary: Their vocabulary.
        source: Where they come from; measured ones ("concepts") are measured again.
        image: The part, `(h, w, 1 or 3)` uint8.
        labels: Its labels, `(h, w)` uint8.

    Returns:
        One index per factor. Words about the whole image are unknown, and all words where the part shows no
        lesion.
    """
    if not labels.any():
        return (UNKNOWN,) * len(indices)
    about_whole = whole_image_factors(vocabulary)
    if source == "concepts" and not all(about_whole):
        pixels = image[..., 0] if image.shape[2] == 1 else image
        indices = measure_indices(labels, vocabulary, image=pixels)
    return tuple(UNKNOWN if whole else index for whole, index in zip(about_whole, indices, strict=True))
