from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.readers import read_pair
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError
from lexiseg.training.inputs.sample_cache import CachedSamples, DecodedSamples


def test_samples_are_resized_and_grey_kept_as_one_channel(index: DatasetIndex) -> None:
    samples = index.split("train")
    image, labels = DecodedSamples(samples, index.coding, size=32)[0]
    assert (image.shape, image.dtype) == ((32, 32, 1), np.uint8)
    assert (labels.shape, labels.dtype) == ((32, 32), np.uint8)
    full, truth = read_pair(samples[0], index.coding)
    assert (full.shape, truth.shape) == ((64, 64, 3), (64, 64))
    assert np.array_equal(labels, truth[1::2, 1::2])  # nearest: no new values, no blur


def test_colour_keeps_three_channels(index: DatasetIndex, tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[5, 5, 2] = 1
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    sample = replace(index.split("train")[0], image=tmp_path / "colour.png")
    assert DecodedSamples([sample], index.coding, size=64)[0][0].shape == (64, 64, 3)


def test_a_mask_of_another_size_is_refused_with_both_sizes(index: DatasetIndex, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(tmp_path / "small.png")
    sample = replace(index.split("train")[0], image=tmp_path / "small.png")
    with pytest.raises(DataError, match=r"mask_\S+ is 64 x 64 pixels, but its image \S+small.png is 30 x 40"):
        DecodedSamples([sample], index.coding, size=64)[0]


def test_the_cache_holds_the_same(index: DatasetIndex) -> None:
    decoded = DecodedSamples(index.split("val"), index.coding, size=64)
    cached = CachedSamples(decoded)
    assert len(cached) == len(decoded) == 5
    for position in range(5):
        for a, b in zip(cached[position], decoded[position], strict=True):
            assert np.array_equal(a, b)
