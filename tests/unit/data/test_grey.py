"""Grey images as three channels of one memory: the same numbers as with three copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.grey import grey_of, own_pixels, three_channels
from lexiseg.data.readers import read_image, read_image_with_facts
from lexiseg.data.resize import resize_image
from lexiseg.inference.preprocess import normalise
from lexiseg.inference.reliability.training_images import describe_images

GREY = np.random.default_rng(0).integers(0, 256, (45, 70), np.uint8)
SHARED, COPIED = three_channels(GREY), np.repeat(GREY[..., None], 3, axis=2)


def test_one_memory_is_three_channels() -> None:
    assert np.array_equal(SHARED, COPIED)
    assert SHARED.base is not None
    assert grey_of(SHARED) is not None
    assert np.shares_memory(grey_of(SHARED), GREY)
    assert grey_of(COPIED) is None
    assert grey_of(GREY) is None
    # One column of one channel is no grey image of three channels.
    assert grey_of(np.zeros((4, 1, 1), np.uint8)) is None


def test_own_pixels_can_be_written_to() -> None:
    own = own_pixels(SHARED)
    own[0, 0, 0] = 255 - own[0, 0, 0]
    assert np.array_equal(own[1:], COPIED[1:])
    assert own_pixels(own) is own


@pytest.mark.parametrize("size", [(45, 70), (20, 30), (90, 141), (1, 1)])
def test_resizing_gives_the_same_numbers(size: tuple[int, int]) -> None:
    shared = resize_image(SHARED, size)
    assert np.array_equal(shared, resize_image(COPIED, size))
    assert grey_of(shared) is not None


def test_the_network_and_the_signals_get_the_same_numbers() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert np.array_equal(normalise([SHARED], mean, std), normalise([COPIED], mean, std))
    shared, copied = describe_images([SHARED], None), describe_images([COPIED], None)
    assert shared.keys() == copied.keys()
    assert all(np.array_equal(shared[aspect], copied[aspect]) for aspect in shared)


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_grey_files_share_their_channels_in_prediction_only(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY if mode == "L" else GREY.astype(np.uint16) * 100).save(path)
    decoded = read_image_with_facts(path)
    assert grey_of(decoded.pixels) is not None
    plain = read_image(path)
    assert plain.flags.writeable
    assert grey_of(plain) is None
    assert np.array_equal(plain, decoded.pixels)
