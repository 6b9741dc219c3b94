"""How images fit the pictures of a network: stretched, padded, cut into tiles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lexiseg.data.image_fit import OVERLAP, Box, padded, padded_size, stretched, tiles
from lexiseg.data.resize import resize_image

RNG = np.random.default_rng(0)


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(1, 256, (height, width, 3), dtype=np.uint8)


def test_stretching_is_a_plain_resize() -> None:
    image = noise(30, 50)
    place = stretched((30, 50), 16)
    assert np.array_equal(place.draw(image), resize_image(image, (16, 16)))
    assert place.inside().all()
    scores = np.zeros((1, 16, 16), np.float32)
    assert place.inner_of(scores) is scores


@pytest.mark.parametrize(
    ("size", "inner"),
    [
        ((100, 50), Box(0, 8, 32, 16)),
        ((50, 100), Box(8, 0, 16, 32)),
        ((10, 10), Box(0, 0, 32, 32)),  # small images are enlarged
        ((100, 25), Box(0, 12, 32, 8)),
        ((1, 1000), Box(15, 0, 1, 32)),  # never thinner than a pixel
    ],
)
def test_padding_keeps_the_aspect_ratio_and_centres(size: tuple[int, int], inner: Box) -> None:
    place = padded(size, 32)
    assert place.inner == inner
    assert padded_size(size, 32) == (inner.height, inner.width)
    image = noise(*size)
    picture = place.draw(image)
    inside = place.inside().astype(bool)
    assert inside.sum() == inner.height * inner.width
    assert not picture[~inside].any()
    assert np.array_equal(picture[inner.place], resize_image(image, (inner.height, inner.width)))


def test_labels_are_padded_with_background() -> None:
    labels = np.full((40, 20), 3, np.uint8)
    place = padded((40, 20), 16)
    assert np.array_equal(place.draw_labels(labels), 3 * place.inside())


def test_the_inner_scores_are_those_of_the_image() -> None:
    place = padded((40, 20), 16)
    scores = place.inside()[None, None].astype(np.float32)
    assert place.inner_of(scores).shape == (1, 1, 16, 8)
    assert place.inner_of(scores).all()


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (100, 231), (1000, 70), (17, 200), (20, 30)])
def test_tiles_cover_the_image_and_overlap(size: tuple[int, int]) -> None:
    side = 64
    covered = np.zeros(size, int)
    found = tiles(size, side)
    for tile in found:
        assert (tile.part.height, tile.part.width) == (min(size[0], side), min(size[1], side))
        assert (tile.inner.height, tile.inner.width) == (tile.part.height, tile.part.width)
        assert 0 <= tile.part.top <= size[0] - tile.part.height
        assert 0 <= tile.part.left <= size[1] - tile.part.width
        covered[tile.part.place] += 1
    assert covered.min() == 1
    for axis in (0, 1):
        starts = sorted({tile.part[axis] for tile in found})
        assert (starts[0], starts[-1]) == (0, max(0, size[axis] - side))
        # Rounding to whole pixels may take one pixel of the overlap.
        assert all(b - a <= (1 - OVERLAP) * side + 1 for a, b in pairwise(starts))


def test_the_number_of_tiles() -> None:
    # 1,000 px in tiles of 224 that share at least 56: 1 + ceil(776 / 168) = 6 along each axis.
    assert len(tiles((1000, 1000), 224)) == 36
    assert [tile.part for tile in tiles((224, 300), 224)] == [Box(0, 0, 224, 224), Box(0, 76, 224, 224)]


def test_a_tile_shows_the_pixels_themselves() -> None:
    image = noise(40, 100)
    first, *_, last = tiles((40, 100), 64)
    assert np.array_equal(first.draw(image)[12:52], image[:, :64])
    assert np.array_equal(last.draw(image)[12:52], image[:, 36:])
    assert not first.draw(image)[:12].any()
