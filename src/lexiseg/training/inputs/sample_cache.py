"""Decoded training images: in memory where they fit, else decoded when they are needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lexiseg.data.grey import own_pixels
from lexiseg.data.image_fit import Fit
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_image_with_facts, read_pair
from lexiseg.data.sample import Sample
from lexiseg.training.inputs.picture_fit import PictureFit

Pixels = npt.NDArray[np.uint8]


class PixelSource(Protocol):
    """Gives image and labels of a sample by its position."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels | None]:
        """Return `(H, W, 1 or 3)` uint8 pixels and `(H, W)` uint8 labels, both as `PictureFit.resized` does.

        The labels are None where the sample has no mask.
        """


class DecodedSamples:
    """Reads and resizes a sample each time it is asked for."""

    def __init__(
        self, samples: Sequence[Sample], coding: MaskCoding, *, size: int, fit: Fit = "stretch"
    ) -> None:
        self._samples = samples
        self._coding = coding
        self._fit = PictureFit(fit=fit, side=size)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels | None]:
        """Read one sample.

        Raises:
            DataError: A file cannot be read, or image and mask differ in size.
        """
        sample = self._samples[position]
        labels: Pixels | None = None
        if sample.mask is None:
            image = own_pixels(read_image_with_facts(sample.image).displayed)
        else:
            image, labels = read_pair(sample, self._coding)
        image, labels = self._fit.resized(image, labels)
        return _without_copies(image), labels


class CachedSamples:
    """Holds all samples in memory: grey images as one channel, so that 10,000 of 224 px take 1 GB.

    Args:
        source: Where the samples come from.
    """

    def __init__(self, source: PixelSource) -> None:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            self._pairs = list(pool.map(source.__getitem__, range(len(source))))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, position: int) -> tuple[Pixels, Pixels | None]:
        return self._pairs[position]


def _without_copies(image: Pixels) -> Pixels:
    """Keep one channel of a grey image stored as three."""
    grey = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
    return np.ascontiguousarray(image[..., :1]) if grey else image
