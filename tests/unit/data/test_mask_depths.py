"""Masks of 1, 2 and 4 bits per pixel: the other masks or the classes tell what their numbers stand for."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.decode import decode_mask
from lexiseg.data.mask_histograms import MOST_VALUES, mask_histogram, mask_histograms
from lexiseg.data.mask_inference import explicit_coding, infer_mask_coding
from lexiseg.data.public.importers.masks import lesion
from lexiseg.data.readers import read_mask
from refusals import refuses


def blocks(*values: int) -> np.ndarray:
    """Return 0 with a block of each value."""
    picture = np.zeros((12, 8 * max(1, len(values))), np.uint8)
    for number, value in enumerate(values):
        picture[3:9, 8 * number + 2 : 8 * number + 6] = value
    return picture


def png(path: Path, numbers: np.ndarray, bits: int) -> Path:
    """Write grey values of 1, 2, 4 or 8 bits per pixel, as optimisers of PNG files do."""
    height, width = numbers.shape
    shifted = np.unpackbits(numbers[..., None], axis=2)[..., 8 - bits :].reshape(height, width * bits)
    rows = np.packbits(shifted, axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(data))
        + _chunk(b"IEND", b"")
    )
    return path


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_numbers_are_kept_as_they_are_stored(tmp_path: Path, bits: int) -> None:
    numbers = blocks(*range(1, 2**bits))
    of_png = png(tmp_path / "a.png", numbers, bits)
    pixels = decode_mask(of_png.read_bytes(), of_png)
    assert pixels.bits == bits
    np.testing.assert_array_equal(pixels.values, numbers)
    np.testing.assert_array_equal(pixels.shades().values, np.asarray(Image.open(of_png).convert("L")))


def test_white_of_a_file_of_one_bit_is_white_of_the_others(tmp_path: Path) -> None:
    paths = [
        png(tmp_path / "a.png", blocks(128, 255), 8),
        png(tmp_path / "b.png", blocks(1), 1),
        png(tmp_path / "c.png", blocks(3), 2),
    ]
    coding, _ = infer_mask_coding(paths)
    assert coding.values == (0, 128, 255)
    for path in paths[1:]:
        np.testing.assert_array_equal(read_mask(path, coding), blocks(2))


@pytest.mark.parametrize("bits", [2, 4])
def test_labels_are_labels_with_any_depth(tmp_path: Path, bits: int) -> None:
    paths = [png(tmp_path / "a.png", blocks(1, 2), 8), png(tmp_path / "b.png", blocks(1, 2), bits)]
    coding, _ = infer_mask_coding(paths)
    assert coding.values == (0, 1, 2)
    for path in paths:
        np.testing.assert_array_equal(read_mask(path, coding), blocks(1, 2))
    alone, _ = infer_mask_coding(paths[1:])
    np.testing.assert_array_equal(read_mask(paths[1], alone), blocks(1, 2))


@pytest.mark.parametrize("others", [(1,), (255,), ()])
def test_two_classes_of_any_depth(tmp_path: Path, others: tuple[int, ...]) -> None:
    paths = [png(tmp_path / f"{value}.png", blocks(value), 8) for value in others]
    paths += [png(tmp_path / "b.png", blocks(1), 1), png(tmp_path / "c.png", blocks(15), 4)]
    coding, _ = infer_mask_coding(paths)
    assert coding.num_classes == 2
    for path in paths:
        np.testing.assert_array_equal(read_mask(path, coding), blocks(1))


@pytest.mark.parametrize("first", [(64,), (1, 2, 255), (85, 255, 1)])
def test_what_stays_open_is_refused(tmp_path: Path, first: tuple[int, ...]) -> None:
    paths = [png(tmp_path / "a.png", blocks(*first), 8), png(tmp_path / "b.png", blocks(1), 1)]
    with refuses("LEX-DATA-1891", "b.png is a mask of 1 bit per pixel", "255"):
        infer_mask_coding(paths)


def test_one_scale_for_files_of_few_bits(tmp_path: Path) -> None:
    labels = png(tmp_path / "a.png", blocks(1, 2), 4)
    one = png(tmp_path / "b.png", blocks(1), 1)
    coding, _ = infer_mask_coding([labels, one])
    np.testing.assert_array_equal(read_mask(one, coding), blocks(1))
    # Three shades, or three labels: then white is 3, or 1 is 1.
    open_ = png(tmp_path / "c.png", blocks(1, 2, 3), 2)
    with refuses("LEX-DATA-1891", "b.png"):
        infer_mask_coding([open_, one])


def test_stated_classes_decide(tmp_path: Path) -> None:
    one = png(tmp_path / "b.png", blocks(1), 1)
    stated: list[dict[int | str, str]] = [
        {0: "background", 255: "lesion"},
        {1: "lesion"},
        {"#ffffff": "lesion"},
    ]
    for classes in stated:
        coding, _ = explicit_coding(classes, mask_histograms([one]))
        np.testing.assert_array_equal(read_mask(one, coding), blocks(1))
    coding, _ = explicit_coding({1: "one", 255: "two"}, mask_histograms([one]))
    with refuses("LEX-DATA-1895", "b.png", "1 bit per pixel"):
        read_mask(one, coding)
    four = png(tmp_path / "c.png", blocks(3), 4)
    coding, _ = explicit_coding({1: "one", 2: "two"}, mask_histograms([four]))
    with refuses("LEX-DATA-092", "c.png", "it holds 3"):
        read_mask(four, coding)


def test_a_file_of_one_bit_among_jpegs(tmp_path: Path) -> None:
    Image.fromarray(blocks(255)).save(tmp_path / "a.jpg", quality=70)
    paths = [tmp_path / "a.jpg", png(tmp_path / "b.png", blocks(1), 1), png(tmp_path / "c.png", blocks(3), 2)]
    coding, _ = infer_mask_coding(paths)
    for path in paths[1:]:
        np.testing.assert_array_equal(read_mask(path, coding), blocks(1))


CLASSES: dict[int | str, str] = {0: "background", 255: "lesion"}


def soft(path: Path, bits: int, radius: int = 20) -> Path:
    """Write a white disc with soft edges; `BRIGHT` pixels of the largest one are above 127."""
    rows, columns = np.mgrid[:64, :64]
    shades = np.clip((radius + 1.5 - np.hypot(rows - 32, columns - 32)) / 3, 0, 1) * 255
    if path.suffix == ".jpg":
        Image.fromarray(shades.astype(np.uint8)).save(path, quality=90)
        return path
    return png(path, np.rint(shades * (2**bits - 1) / 255).astype(np.uint8), bits)


BRIGHT = 1257


def sizes(paths: list[Path], classes: dict[int | str, str] | None) -> list[int]:
    """Return the number of pixels of the lesion, with stated or inferred classes."""
    histograms = mask_histograms(paths)
    coding, _ = infer_mask_coding(paths) if classes is None else explicit_coding(classes, histograms)
    assert coding.num_classes == 2
    return [int(read_mask(path, coding).sum()) for path in paths]


@pytest.mark.parametrize("classes", [CLASSES, None])
@pytest.mark.parametrize("depths", [(4, 8, 4, 8), (4, 4, 4, 4)])
def test_soft_edges_of_few_bits_are_shades(
    tmp_path: Path, depths: tuple[int, ...], classes: dict[int | str, str] | None
) -> None:
    paths = [soft(tmp_path / f"{number}.png", bits) for number, bits in enumerate(depths)]
    assert sizes(paths, classes) == [BRIGHT] * 4


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_soft_edges_of_few_bits_beside_a_jpeg(tmp_path: Path, classes: dict[int | str, str] | None) -> None:
    paths = [soft(tmp_path / "a.png", 4), soft(tmp_path / "b.jpg", 8), soft(tmp_path / "c.png", 2)]
    assert sizes(paths, classes)[::2] == [BRIGHT] * 2


def test_soft_edges_beside_labels_are_no_labels(tmp_path: Path) -> None:
    paths = [png(tmp_path / "a.png", blocks(1, 2), 8), soft(tmp_path / "b.png", 4)]
    with refuses("LEX-DATA-657"):
        infer_mask_coding(paths)
    paths = [soft(tmp_path / "b.png", 2), soft(tmp_path / "c.png", 2, radius=15)]
    with refuses("LEX-DATA-657", "85, 170"):
        infer_mask_coding(paths)


def test_thin_labels_of_few_bits_beside_the_same_labels(tmp_path: Path) -> None:
    labels = blocks(15, 15)
    labels[0, :9] = [1, 1, 1, 2, 2, 2, 3, 3, 3]
    paths = [png(tmp_path / "a.png", blocks(1, 2, 3, 15), 8), png(tmp_path / "b.png", labels, 4)]
    coding, _ = infer_mask_coding(paths)
    assert coding.values == (0, 1, 2, 3, 15)
    np.testing.assert_array_equal(read_mask(paths[1], coding) == 4, labels == 15)


def test_many_labels_of_four_bits_of_which_some_are_thin(tmp_path: Path) -> None:
    """Values that form regions are labels, so white and thin values beside them are labels too."""
    labels = blocks(1, 2, 3, 5, 6, 7, 8, 10, 12, 13, 14)
    labels[0, :9] = [4, 4, 4, 9, 9, 9, 11, 11, 11]
    coding, _ = infer_mask_coding([png(tmp_path / "a.png", labels, 4)])
    assert coding.values == tuple(range(15))


def test_nearest_values_with_labels_of_few_bits(tmp_path: Path) -> None:
    nearest = soft(tmp_path / "a.jpg", 8)
    labels = png(tmp_path / "b.png", blocks(1, 2), 4)
    for last in (2, 255):
        coding, _ = explicit_coding({1: "one", 2: "two", last: "two"}, mask_histograms([nearest, labels]))
        assert coding.kind == "nearest"
        np.testing.assert_array_equal(read_mask(labels, coding), blocks(1, 2))
    coding, _ = explicit_coding({1: "one", 255: "two"}, mask_histograms([nearest, labels]))
    with refuses("LEX-DATA-1895", "b.png", "some of its numbers (1)"):
        read_mask(labels, coding)


@pytest.mark.parametrize(("bits", "white"), [(1, 1), (2, 3), (4, 15)])
def test_published_masks_of_few_bits(tmp_path: Path, bits: int, white: int) -> None:
    np.testing.assert_array_equal(lesion(png(tmp_path / "a.png", blocks(white), bits)), blocks(1))


def test_pictures_in_place_of_masks_need_little_memory(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    found = mask_histogram(tmp_path / "a.png")
    assert len(found.counts) <= MOST_VALUES + 1
    assert found.num_values > 39_000
    with refuses("LEX-DATA-047", "a.png", f"{found.num_values} different ones"):
        infer_mask_coding([tmp_path / "a.png"])


def test_numbers_of_16_bits_keep_the_largest(tmp_path: Path) -> None:
    deep = np.repeat(np.arange(3000, dtype=np.uint16), 2).reshape(60, 100)
    Image.fromarray(deep).save(tmp_path / "a.png")
    with refuses("LEX-DATA-050", "a.png", "3000 different values up to 2999"):
        infer_mask_coding([tmp_path / "a.png"])
