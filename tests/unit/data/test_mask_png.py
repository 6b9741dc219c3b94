"""PNG files of masks: every reader gets the values back."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.mask_png import mask_png

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((1, 1), np.uint8),
        np.full((7, 300), 255, np.uint8),
        np.arange(256, dtype=np.uint8).reshape(8, 32),
        _RNG.integers(0, 256, (65, 33), np.uint8),
        _RNG.integers(0, 256, (40, 60), np.uint8)[::-1, ::2],  # not contiguous
    ],
    ids=["pixel", "wide", "all values", "noise", "view"],
)
def test_pillow_reads_the_values_back(values: np.ndarray) -> None:
    with Image.open(io.BytesIO(mask_png(values))) as image:
        image.verify()  # the checksums of all chunks
    with Image.open(io.BytesIO(mask_png(values))) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert np.array_equal(np.asarray(image), values)


def test_the_bytes_of_a_file_of_one_white_pixel() -> None:
    content = mask_png(np.array([[255]], np.uint8))
    assert content[:33].hex() == (
        "89504e470d0a1a0a0000000d4948445200000001000000010800000000" + f"{zlib.crc32(content[12:29]):08x}"
    )
    assert zlib.decompress(content[41:-16]) == b"\0\xff"  # no filter, white
    assert content[-12:].hex() == "0000000049454e44ae426082"
