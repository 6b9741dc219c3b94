"""The same pixels give the same image, whatever holds them; what is no image is refused with a hint."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lexiseg.data.readers import read_image
from lexiseg.inference.inputs.image_inputs import decoded_image, image_pixels
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from refusals import refuses

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
RGBA = np.dstack([RGB, RNG.integers(0, 256, (9, 7), dtype=np.uint8)])
GREY16 = RNG.integers(0, 4096, (9, 7), dtype=np.uint16)


def saved(pixels: np.ndarray, folder: Path, name: str = "image.png") -> Path:
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def same(image: Any, expected: np.ndarray) -> None:
    found = decoded_image(image)
    assert found.facts is None
    assert found.pixels.dtype == np.uint8
    np.testing.assert_array_equal(found.pixels, expected)


def test_a_path_its_bytes_and_an_open_file(tmp_path: Path) -> None:
    path = saved(RGB, tmp_path)
    content = path.read_bytes()
    for image in (path, str(path), content, bytearray(content), memoryview(content), io.BytesIO(content)):
        same(image, RGB)
    with path.open("rb") as file:
        same(file, RGB)


@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0], RGBA, GREY16], ids=["rgb", "grey", "rgba", "grey16"])
def test_pil_images_and_arrays_are_read_as_their_file(pixels: np.ndarray, tmp_path: Path) -> None:
    path = saved(pixels, tmp_path)
    expected = read_image(path)
    for image in (pixels, torch.from_numpy(pixels), Image.fromarray(pixels), Image.open(path)):
        same(image, expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_of_pil_is_read_as_its_file(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREY16) if mode in ("I;16", "I", "F") else Image.fromarray(RGBA)
    if mode in ("I", "F"):
        image = Image.fromarray(GREY16.astype(np.int32 if mode == "I" else np.float32))
    elif mode != "I;16":
        image = image.convert(mode)
    path = tmp_path / ("image.tif" if mode in ("CMYK", "I", "F") else "image.png")
    if mode == "PA":  # no format of files has it
        same(image, np.asarray(read_image(saved(np.asarray(image.convert("RGBA")), tmp_path))))
        return
    image.save(path)
    same(image, read_image(path))
    same(Image.open(path), read_image(path))


def test_a_picture_that_viewers_show_inverted(tmp_path: Path) -> None:
    Image.fromarray(GREY16).save(tmp_path / "white.tif", tiffinfo={262: 0})
    expected = read_image(tmp_path / "white.tif")
    Image.fromarray(GREY16).save(tmp_path / "black.tif")
    np.testing.assert_array_equal(expected, 255 - read_image(tmp_path / "black.tif"))
    same(Image.open(tmp_path / "white.tif"), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("pixels", [RGB, RGBA, RGB[..., 0]], ids=["rgb", "rgba", "grey"])
def test_numbers_of_0_to_1_are_the_pixels_of_8_bits(dtype: type, pixels: np.ndarray) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(image_pixels((every / 255).astype(dtype))[..., 0], every)
    np.testing.assert_array_equal(image_pixels((pixels / 255).astype(dtype)), image_pixels(pixels))


def test_sixteen_bits_in_any_byte_order_and_in_colour(tmp_path: Path) -> None:
    np.testing.assert_array_equal(image_pixels(GREY16.astype(">u2")), image_pixels(GREY16))
    colours = RNG.integers(0, 65536, (9, 7, 4), dtype=np.uint16)
    # One range for all channels, and transparent pixels on black: 0 is the darkest value here.
    drawn = colours[..., :3] * (colours[..., 3:] / 65535)
    low, high = np.percentile(drawn, (0.5, 99.5))
    expected = np.rint(np.clip((drawn - low) * 255 / (high - low), 0, 255))
    assert np.abs(image_pixels(colours) - expected).max() <= 1
    assert image_pixels(colours[..., :3]).shape == (9, 7, 3)


def test_alpha_is_laid_over_black() -> None:
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]], np.uint8)
    assert image_pixels(rgba).tolist() == [[[200, 100, 50], [0, 0, 0], [100, 50, 25]]]
    with refuses("LEX-DATA-651", "The array is fully transparent"):
        image_pixels(rgba * np.array([1, 1, 1, 0], np.uint8))


def test_views_and_single_channels() -> None:
    np.testing.assert_array_equal(image_pixels(RGB[:, ::-1]), RGB[:, ::-1])
    np.testing.assert_array_equal(image_pixels(RGB[..., :1]), np.repeat(RGB[..., :1], 3, axis=2))
    narrow = np.zeros((3, 500, 3), np.uint8)  # three rows, not three channels
    assert image_pixels(narrow).shape == (3, 500, 3)
    # A tensor that is part of a computation, and one of another class of torch.
    half = torch.full((4, 5), 0.5, requires_grad=True)
    assert image_pixels(half)[0, 0].tolist() == [128, 128, 128]
    assert image_pixels(nn.Parameter(half))[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("image", "code", "words"),
    [
        (np.zeros((8, 8), np.int64), "LEX-USE-046", ["int64", "astype"]),
        (np.zeros((8, 8), bool), "LEX-USE-046", ["bool"]),
        (np.zeros((8, 8, 3), np.int16), "LEX-USE-046", ["int16", "0..1"]),
        (np.zeros((8, 8), object), "LEX-USE-046", ["object"]),
        (np.zeros(8, np.uint8), "LEX-USE-047", ["(8,)"]),
        (np.zeros((8, 8, 2), np.uint8), "LEX-USE-047", ["(8, 8, 2)"]),
        (np.zeros((8, 8, 5), np.float32), "LEX-USE-047", ["(8, 8, 5)"]),
        (np.zeros((1, 2, 8, 8, 3), np.uint8), "LEX-USE-047", ["(1, 2, 8, 8, 3)"]),
        (np.ma.masked_array(RGB, RGB > 9), "LEX-USE-1160", ["filled"]),
        (None, "LEX-USE-1161", ["got NoneType."]),
        ([[0, 1], [1, 0]], "LEX-USE-1161", ["got list."]),
        (io.StringIO("text"), "LEX-USE-1162", ["str", "rb"]),
        (torch.zeros(8, 8, dtype=torch.bfloat16), "LEX-USE-1164", ["bfloat16", "float()"]),
        (torch.zeros(8, 8, device="meta"), "LEX-USE-1164", ["float32"]),
        (np.zeros((2, 8, 8, 3), np.uint8), "LEX-USE-1165", ["batch", "predict_arrays"]),
        (np.zeros((3, 8, 8), np.uint8), "LEX-USE-1166", ["transpose(1, 2, 0)"]),
        (np.zeros((1, 8, 8), np.float32), "LEX-USE-1166", ["transpose(1, 2, 0)"]),
        (torch.zeros(3, 8, 8), "LEX-USE-1166", ["permute(1, 2, 0)"]),
        (np.full((8, 8), np.nan), "LEX-USE-1167", ["NaN or infinity in 64 values"]),
        (np.array([[0.0, np.inf]]), "LEX-USE-1167", ["NaN or infinity in 1 value."]),
        (np.full((8, 8), 254.0), "LEX-USE-1168", ["254 to 254", "Divide by 255"]),
        (np.array([[-2.1, 2.6]]), "LEX-USE-1168", ["-2.1 to 2.6", "normalisation"]),
        (np.zeros((0, 8, 3), np.uint8), "LEX-USE-1169", ["(0, 8, 3)"]),
        (np.zeros((8, 0), np.uint8), "LEX-USE-1169", ["(8, 0)"]),
        (Image.new("L", (0, 5)), "LEX-USE-1169", ["(5, 0)"]),
    ],
)
def test_what_is_no_image_is_refused(image: Any, code: str, words: list[str]) -> None:
    with refuses(code, *words):
        decoded_image(image)


def test_damaged_bytes_and_files_name_where_they_come_from(tmp_path: Path) -> None:
    content = saved(RGB, tmp_path).read_bytes()
    with refuses("LEX-DATA-019", "The image (bytes) is damaged"):
        decoded_image(content[:60])
    with refuses("LEX-DATA-013", "The open file is not a readable image"):
        decoded_image(io.BytesIO(b"no image"))
    (tmp_path / "broken.png").write_bytes(b"no image")
    with (tmp_path / "broken.png").open("rb") as file, refuses("LEX-DATA-013", "broken.png is not"):
        decoded_image(file)
    cut = Image.open(io.BytesIO(content[:-30]))  # decoded when its pixels are needed
    with refuses("LEX-DATA-019", "The PIL image is damaged"):
        decoded_image(cut)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd", "scan.mhd"])
def test_a_volume_is_refused_as_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with refuses("LEX-DATA-2082", str(tmp_path / name), "is a volume; expected an image", "predict_volume"):
        decoded_image(tmp_path / name)


def test_a_pil_image_of_several_frames(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    first.save(tmp_path / "frames.tif", save_all=True, append_images=[second])
    frames = Image.open(tmp_path / "frames.tif")
    with refuses("LEX-USE-1163", "2 frames", "image.copy()"):
        decoded_image(frames)
    frames.seek(1)
    same(frames.copy(), 255 - RGB)


def test_predictions_are_equal_in_every_form(made: tuple[Run, nn.Module], images: list[Path]) -> None:
    predictor = Predictor(made[0])
    expected = predictor.predict(images[1])
    pixels = read_image(images[1])
    forms = (images[1].read_bytes(), Image.open(images[1]), pixels, pixels / 255, torch.from_numpy(pixels))
    for image in forms:
        found = predictor.predict(image)
        np.testing.assert_array_equal(found.mask, expected.mask)
        np.testing.assert_array_equal(found.probability, expected.probability)
        assert found.words == expected.words
    (first, second) = predictor.predict_arrays([pixels / 255, Image.fromarray(pixels)])
    np.testing.assert_array_equal(first.mask, expected.mask)
    np.testing.assert_array_equal(second.mask, expected.mask)


_WITHOUT_TORCH = """
import sys
import numpy as np
from lexiseg.inference.inputs.image_inputs import decoded_image
decoded_image(np.zeros((8, 8), np.uint8))
assert "torch" not in sys.modules
"""


def test_torch_is_not_imported() -> None:
    subprocess.run([sys.executable, "-c", _WITHOUT_TORCH], check=True, timeout=120)
