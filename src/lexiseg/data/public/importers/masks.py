"""Conversion of published masks to labels: by threshold, or by the nearest listed value or colour."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_mask
from lexiseg.data.decoding.mask_pixels import MaskPixels, resolve_palette
from lexiseg.data.mask_coding import LOSSY_THRESHOLD
from lexiseg.data.public.importers.source import Labels
from lexiseg.data.public.registry import Entry
from lexiseg.errors import DataError

#: Largest distance from a listed grey value: CHAOS publishes ranges such as 126 (110 to 135).
TOLERANCE = 16

#: Largest distance of a colour from the listed ones and their mixtures. JPEG changes regions by less than 40;
#: white, grey, yellow and blue are above 120 from mixtures of black, red and green.
COLOUR_TOLERANCE = 64


def lesion(path: Path) -> Labels:
    """Return (H, W) labels of a mask with one class: bright pixels, or pixels of value 1 if it holds 0 and 1.

    Raises:
        DataError: It holds colours, or (other than in a JPEG) only dark values above 1.
    """
    pixels = _pixels(path)
    values = _grey(pixels, path)
    highest = int(values.max())
    if pixels.is_lossy or highest > LOSSY_THRESHOLD:
        return np.asarray(values > LOSSY_THRESHOLD, dtype=np.uint8)
    if highest > 1:
        raise DataError(
            f"{path} holds values up to {highest}; expected 0 and 1, or 0 and 255.", code="LEX-DATA-071"
        )
    return np.asarray(values, dtype=np.uint8)


def any_value(path: Path) -> Labels:
    """Return (H, W) labels of a mask with numbered objects: 1 for every object."""
    # The numbers are the palette indices; the palette only gives them colours.
    pixels = decode_mask(read_content(path), path)
    return np.asarray(pixels.values > 0, dtype=np.uint8)


def nearest_colour(path: Path, entry: Entry) -> Labels:
    """Return (H, W) labels of a mask in colours: the class of the nearest listed colour, or black.

    JPEG blurs colours at edges, so exact colours cannot be expected.

    Raises:
        DataError: A colour is neither close to a listed one nor to a mixture of two.
    """
    pixels = _pixels(path)
    packed = pixels.values.astype(np.uint32)
    if not pixels.is_colour:  # an empty mask is grey
        packed = packed * 0x010101
    rgb = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.int32)
    listed = [(0, 0)] + [
        (int(str(value).removeprefix("#"), 16), label)
        for label, named in enumerate(entry.classes, 1)
        for value in named.original
    ]
    colours = np.array([[c >> 16, c >> 8 & 255, c & 255] for c, _ in listed], dtype=np.int32)
    _refuse_other_colours(rgb, colours, pixels, entry, path)
    distance = np.square(rgb[..., None, :] - colours).sum(axis=-1)
    labels = np.array([label for _, label in listed], dtype=np.uint8)
    return np.asarray(labels[distance.argmin(axis=-1)])


def _refuse_other_colours(
    rgb: npt.NDArray[np.int32],
    colours: npt.NDArray[np.int32],
    pixels: MaskPixels,
    entry: Entry,
    path: Path,
) -> None:
    """Refuse a mask with a colour that stands for no class.

    Raises:
        DataError: There is one. In a JPEG, single pixels at edges can have any colour, so a region counts.
    """
    distance = np.min([_from_mixtures(rgb, *two) for two in combinations(colours, 2)], axis=0)
    if pixels.is_lossy:
        distance = minimum_filter(distance, size=3)
    worst = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[worst] > COLOUR_TOLERANCE:
        found, *known = (f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in (rgb[worst], *colours))
        raise DataError(
            f"{path} holds the colour {found}, which stands for no class of {entry.title}: expected "
            f"{', '.join(known)}. Use the masks as they are published.",
            code="LEX-DATA-1893",
        )


def _from_mixtures(
    rgb: npt.NDArray[np.int32], one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return the distance (H, W) of each colour from the nearest mixture of two colours."""
    way = (other - one).astype(np.float64)
    share = np.clip((rgb - one) @ way / (way @ way), 0, 1)
    distance: npt.NDArray[np.float64] = np.linalg.norm(rgb - (one + share[..., None] * way), axis=-1)
    return distance


def nearest_value(path: Path, entry: Entry) -> Labels:
    """Return (H, W) labels of a grey mask with several classes: the nearest value within `TOLERANCE`.

    Raises:
        DataError: A value is not close to any listed value.
    """
    return labels_of(_grey(_pixels(path), path), entry, path, tolerance=TOLERANCE)


def labels_of(values: npt.NDArray[np.generic], entry: Entry, path: Path, *, tolerance: int = 0) -> Labels:
    """Return the labels of a mask or label volume.

    Args:
        values: Any shape, any number type.
        entry: Gives the values of each class; 0 is the background.
        path: The file, for messages.
        tolerance: Largest distance from a listed value.

    Raises:
        DataError: A value is not close to any listed value.
    """
    listed = [(0, 0)] + [
        (int(value), label) for label, named in enumerate(entry.classes, 1) for value in named.original
    ]
    known = np.array([value for value, _ in listed], dtype=np.float64)
    found, inverse = np.unique(values, return_inverse=True)
    distance = np.abs(found.astype(np.float64)[:, None] - known)
    wrong = found[distance.min(axis=1) > tolerance]
    if len(wrong):
        raise DataError(
            f"{path} holds the values {', '.join(f'{value:g}' for value in wrong[:5])}, which stand for no "
            f"class of {entry.title}: expected {', '.join(f'{value:g}' for value in known)}.",
            code="LEX-DATA-072",
        )
    labels = np.array([label for _, label in listed], dtype=np.uint8)[distance.argmin(axis=1)]
    return np.asarray(labels[inverse].reshape(values.shape))


def _pixels(path: Path) -> MaskPixels:
    """Return the pixels of a mask; grey values of few bits as the shades that viewers show."""
    return resolve_palette(decode_mask(read_content(path), path)).shades()


def _grey(pixels: MaskPixels, path: Path) -> npt.NDArray[np.integer]:
    if pixels.is_colour:
        raise DataError(f"{path} holds colours; expected a grey mask.", code="LEX-DATA-073")
    return pixels.values
