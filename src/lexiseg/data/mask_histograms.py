"""Histograms of the pixel values of masks."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_mask
from lexiseg.data.volumes.volume_names import stored_state
from lexiseg.errors import DataError

#: Largest number of values that are counted per mask. More are those of a picture, and the histograms of many
#: pictures would fill the memory.
MOST_VALUES = 256


@dataclass(frozen=True, kw_only=True)
class MaskHistogram:
    """Histogram of the pixel values of one mask.

    Attributes:
        path: The mask file.
        counts: Number of pixels by value; of a mask with more than `MOST_VALUES`, those of the most frequent
            values and of the largest.
        is_colour: Whether the values are packed colours.
        palette: Packed colour per palette index, if the values are palette indices.
        is_lossy: Whether the file format may have changed values (JPEG, lossy WebP).
        is_inverted: Whether viewers show the lowest value as white (a TIFF of the kind WhiteIsZero).
        solid: Values that form a region: at least one pixel and its four neighbours have the value. Values of
            noise and of resized edges form none. All values of a mask with at most two.
        bits: 1, 2 or 4 where the values are grey values of so few bits per pixel.
        num_values: Number of different values.
    """

    path: Path
    counts: dict[int, int]
    is_colour: bool
    palette: tuple[int, ...] | None
    is_lossy: bool
    is_inverted: bool = False
    solid: frozenset[int] = frozenset()
    bits: int = 8
    num_values: int = 0


def mask_histograms(paths: Sequence[Path], *, skip_unreadable: bool = False) -> list[MaskHistogram]:
    """Count the pixel values of masks, in a pool of threads."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        histograms = pool.map(lambda path: _histogram_unless(path, skip_unreadable=skip_unreadable), paths)
        return [histogram for histogram in histograms if histogram is not None]


def _histogram_unless(path: Path, *, skip_unreadable: bool) -> MaskHistogram | None:
    try:
        return mask_histogram(path)
    except DataError:
        if skip_unreadable:
            return None
        raise


def mask_histogram(path: Path) -> MaskHistogram:
    """Count the pixel values of one mask; palette indices are kept as they are.

    The result is kept in memory until the file changes.

    Raises:
        DataError: The file is missing or cannot be read.
    """
    return _histogram(path, *stored_state(path))


@functools.lru_cache(maxsize=100_000)
def _histogram(path: Path, modified: int, size: int) -> MaskHistogram:
    """Count the pixel values of one mask; time and size of the file are part of the key of the cache."""
    pixels = decode_mask(read_content(path), path)
    if pixels.values.dtype == np.uint8:
        histogram = np.bincount(pixels.values.ravel(), minlength=256)
        values = np.flatnonzero(histogram)
        counts = histogram[values]
    else:
        values, counts = np.unique(pixels.values, return_counts=True)
    num_values = len(values)
    solid = set(values.tolist() if num_values <= 2 else _solid(pixels.values))
    if num_values > MOST_VALUES:
        kept = np.union1d(np.argsort(counts, kind="stable")[-MOST_VALUES:], [num_values - 1])
        values, counts = values[kept], counts[kept]
    return MaskHistogram(
        path=path,
        counts=dict(zip(values.tolist(), counts.tolist(), strict=True)),
        is_colour=pixels.is_colour,
        palette=pixels.palette,
        is_lossy=pixels.is_lossy,
        is_inverted=pixels.is_inverted,
        solid=frozenset(solid & set(values.tolist())),
        bits=pixels.bits,
        num_values=num_values,
    )


def _solid(values: npt.NDArray[np.integer]) -> list[int]:
    """Return the values that at least one pixel and its four neighbours have."""
    inner = values[1:-1, 1:-1]
    same = (inner == values[:-2, 1:-1]) & (inner == values[2:, 1:-1])
    same &= (inner == values[1:-1, :-2]) & (inner == values[1:-1, 2:])
    found: list[int] = np.unique(inner[same]).tolist()
    return found


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """Return at most `count` paths, spread evenly over the sequence."""
    if len(paths) <= count:
        return list(paths)
    return [paths[i * len(paths) // count] for i in range(count)]
