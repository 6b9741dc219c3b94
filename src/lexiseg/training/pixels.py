"""Decoded training images: in memory where they fit, else decoded when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_image, read_mask
from lexiseg.data.sample import Sample
from lexiseg.data.transforms import resize_image, resize_labels
from lexiseg.errors import DataError

Pixels = npt.NDArray[np.uint8]


def read_pair(sample: Sample, coding: MaskCoding) -> tuple[Pixels, Pixels]:
    """Return a sample's pixels `(H, W, 3)` uint8 and labels `(H, W)` uint8 on their own grid.

    Raises:
        DataError: A file cannot be read, or image and mask differ in size.
    """
    assert sample.mask is not None
    image, labels = read_image(sample.image), read_mask(sample.mask, coding)
    if image.shape[:2] != labels.shape:
        raise DataError(
            f"{sample.mask} is {labels.shape[1]} x {labels.shape[0]} pixels, but its image {sample.image} is "
            f"{image.shape[1]} x {image.shape[0]}. `lexiseg data check` lists all such pairs; resize or "
            f"remove them."
        )
    return image, labels


class PixelSource(Protocol):
    """Gives image and labels of a sample by its position."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels]:
        """Return `(S, S, 1 or 3)` uint8 pixels and `(S, S)` uint8 labels, both at the training size."""


class DecodedSamples:
    """Reads and resizes a sample each time it is asked for."""

    def __init__(self, samples: Sequence[Sample], coding: MaskCoding, *, size: int) -> None:
        self._samples = samples
        self._coding = coding
        self._size = (size, size)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels]:
        """Read one sample.

        Raises:
            DataError: A file cannot be read, or image and mask differ in size.
        """
        image, labels = read_pair(self._samples[position], self._coding)
        return _without_copies(resize_image(image, self._size)), resize_labels(labels, self._size)


class CachedSamples:
    """Holds all samples in memory: grey images as one channel, so that 10,000 of 224 px take 1 GB.

    Args:
        source: Where the samples come from.
        on_progress: Called with the number of samples read so far.
    """

    def __init__(self, source: PixelSource, *, on_progress: Callable[[int], None] | None = None) -> None:
        self._pairs: list[tuple[Pixels, Pixels]] = []
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for pair in pool.map(source.__getitem__, range(len(source))):
                self._pairs.append(pair)
                if on_progress is not None:
                    on_progress(len(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels]:
        return self._pairs[position]


def _without_copies(image: Pixels) -> Pixels:
    """Keep one channel of a grey image stored as three."""
    grey = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    return np.ascontiguousarray(image[..., :1]) if grey else image
