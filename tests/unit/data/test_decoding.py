"""Number types, photometric interpretations, channels and compressions, against a reference reader."""

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_header, decode_mask
from lexiseg.data.decoding.stored_pixels import scale_to_8bit
from lexiseg.data.readers import read_image
from lexiseg.errors import DataError
from refusals import refuses

H, W = 40, 56
RAMP = np.arange(H * W).reshape(H, W) % 241
TYPES = (
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
)


def pixels_of(dtype: str, channels: int) -> np.ndarray:
    """Return (H, W) or (H, W, C) pixels that use the sign and the upper half of the type's range."""
    planes = np.stack([np.roll(RAMP, 3 * i, axis=1) for i in range(channels)], axis=-1).astype(np.int64)
    kind = np.dtype(dtype)
    if kind.kind == "u":
        planes = planes.astype(np.uint64) << np.uint64(8 * (kind.itemsize - 1))
    elif kind.kind == "i":
        planes = (planes - 120) << (8 * (kind.itemsize - 1))
    else:
        planes = planes / 241 - 0.5
    values = planes.astype(dtype)
    return values[..., 0] if channels == 1 else values


def shown(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as viewers show them: 8 bits as they are, others between their percentiles."""
    if pixels.dtype != np.uint8:
        values = pixels.astype(np.float64)
        low, high = np.percentile(values, (0.5, 99.5))
        pixels = np.rint(((values - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


@pytest.mark.parametrize(
    ("dtype", "photometric", "compression"),
    itertools.product(TYPES, ("minisblack", "miniswhite", "rgb", "planar"), (None, "deflate", "tiles")),
)
def test_every_tiff_is_read_as_shown(
    tmp_path: Path, dtype: str, photometric: str, compression: str | None
) -> None:
    colour = photometric in ("rgb", "planar")
    pixels = pixels_of(dtype, 3 if colour else 1)
    path = tmp_path / "a.tif"
    options: dict[str, object] = {"photometric": "rgb" if colour else photometric}
    if photometric == "planar":
        options["planarconfig"] = "separate"
    stored = np.moveaxis(pixels, -1, 0) if photometric == "planar" else pixels
    if compression == "tiles":
        options["tile"] = (16, 16)
    tifffile.imwrite(path, stored, compression="deflate" if compression == "deflate" else None, **options)
    np.testing.assert_array_equal(tifffile.imread(path), stored)
    expected = shown(pixels)
    if photometric == "miniswhite":
        expected = 255 - expected
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1
    assert expected.max() > 200


@pytest.mark.parametrize(
    ("mode", "compression"), itertools.product(("L", "I;16", "I", "F"), ("tiff_lzw", "tiff_adobe_deflate"))
)
def test_tiffs_by_pillow(tmp_path: Path, mode: str, compression: str) -> None:
    dtype = {"L": "uint8", "I;16": "uint16", "I": "int32", "F": "float32"}[mode]
    pixels = pixels_of(dtype, 1)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - shown(pixels)).max() <= 1


@pytest.mark.parametrize("dtype", TYPES)
def test_masks_of_every_type_keep_their_labels(tmp_path: Path, dtype: str) -> None:
    labels = (RAMP % 5).astype(dtype)
    for photometric in ("minisblack", "miniswhite"):
        path = tmp_path / f"{photometric}.tif"
        tifffile.imwrite(path, labels, photometric=photometric)
        mask = decode_mask(read_content(path), path)
        np.testing.assert_array_equal(mask.values, RAMP % 5)
        assert mask.is_inverted == (photometric == "miniswhite")


def test_masks_of_truth_values(tmp_path: Path) -> None:
    labels = RAMP > 100
    for photometric in ("minisblack", "miniswhite"):
        path = tmp_path / f"{photometric}.tif"
        tifffile.imwrite(path, labels, photometric=photometric)
        np.testing.assert_array_equal(decode_mask(read_content(path), path).values, labels)


@pytest.mark.parametrize("value", [-1, 2**40])
def test_mask_numbers_that_are_no_labels(tmp_path: Path, value: int) -> None:
    tifffile.imwrite(tmp_path / "m.tif", np.full((4, 4), value, np.int64))
    with pytest.raises(DataError, match=r"LEX-DATA-(020|655)"):
        decode_mask(read_content(tmp_path / "m.tif"), tmp_path / "m.tif")


def test_nan_is_black_and_does_not_set_the_range(tmp_path: Path) -> None:
    pixels = pixels_of("float32", 1)
    pixels[3, 4] = np.nan
    pixels[5, 6] = np.inf
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    read = read_image(tmp_path / "a.tif")
    assert (read[3, 4, 0], read[5, 6, 0]) == (0, 255)
    whole = shown(pixels_of("float32", 1))
    pixels[3, 4] = pixels[5, 6] = 0
    assert np.abs(np.delete(read.ravel(), 0).astype(int) - np.delete(whole.ravel(), 0)).mean() < 1
    tifffile.imwrite(tmp_path / "n.tif", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(DataError, match="LEX-DATA-650"):
        read_image(tmp_path / "n.tif")


def test_extra_channels_are_not_dropped(tmp_path: Path) -> None:
    for dtype in ("uint8", "uint16"):
        two = pixels_of(dtype, 2)
        tifffile.imwrite(tmp_path / "a.tif", two, photometric="minisblack", planarconfig="contig")
        with pytest.raises(DataError, match="LEX-DATA-015"):
            read_image(tmp_path / "a.tif")
        two[..., 1] = 7
        tifffile.imwrite(tmp_path / "a.tif", two, photometric="minisblack", planarconfig="contig")
        assert np.abs(read_image(tmp_path / "a.tif").astype(int) - shown(two[..., 0])).max() <= 1


def test_premultiplied_alpha_is_not_applied_twice(tmp_path: Path) -> None:
    rgba = pixels_of("uint16", 4)
    rgba[..., 3] = 32768
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["assocalpha"])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), scale_to_8bit(rgba[..., :3]))


def _filtered(rows: np.ndarray, step: int) -> bytes:
    """Filter rows of bytes by the five filters of PNG in turn."""
    before, out = np.zeros(rows.shape[1], np.uint8), []
    for number, row in enumerate(rows):
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]]).astype(int)
        corner = np.concatenate([np.zeros(step, np.uint8), before[:-step]]).astype(int)
        above, kind = before.astype(int), number % 5
        p = left + above - corner
        a, b, c = abs(p - left), abs(p - above), abs(p - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        guess = [np.zeros_like(left), left, above, (left + above) // 2, paeth][kind]
        out.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        before = row
    return b"".join(out)


def png16(pixels: np.ndarray, colour: int) -> bytes:
    """Return a PNG of 16 bits per channel; colour 0 grey, 2 RGB, 4 grey with alpha, 6 RGBA."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").tobytes()
    data = np.frombuffer(rows, np.uint8).reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    body = zlib.compress(_filtered(data, 2 * channels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_keeps_all_bits(tmp_path: Path, colour: int, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (H, W, channels)).astype(np.uint16)
    if channels in (2, 4):
        pixels[..., -1] = 65535
    path = tmp_path / "a.png"
    path.write_bytes(png16(pixels, colour))
    values = pixels[..., 0] if channels < 3 else pixels[..., :3]
    expected = scale_to_8bit(values)
    read = read_image(path)
    np.testing.assert_array_equal(read, expected if channels > 2 else np.repeat(expected[..., None], 3, 2))
    assert decode_header(path.read_bytes(), path).is_deep
    if channels < 3:
        np.testing.assert_array_equal(decode_mask(path.read_bytes(), path).values, values)


def test_16_bit_png_with_transparency_is_drawn_on_black(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 2), 40_000, np.uint16)
    pixels[..., 1] = 65535
    pixels[2:, :, 1] = 0
    (tmp_path / "a.png").write_bytes(png16(pixels, 4))
    read = read_image(tmp_path / "a.png")
    assert read[:2].min() == 255
    assert read[2:].max() == 0


def test_16_bit_colour_masks_of_repeated_bytes_are_colours(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint16)
    pixels[1, 1] = (65535, 257, 0)
    (tmp_path / "m.png").write_bytes(png16(pixels, 2))
    mask = decode_mask((tmp_path / "m.png").read_bytes(), tmp_path / "m.png")
    assert mask.is_colour
    assert mask.values[1, 1] == 0xFF0100


def test_pictures_that_would_be_black_are_refused(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[..., 0] = 90
    Image.fromarray(clear).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="LEX-DATA-651"):
        read_image(tmp_path / "a.png")
    shape = np.zeros((4, 4, 4), np.uint8)
    shape[1, 1, 3] = 255
    Image.fromarray(shape).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"transparency.*LEX-DATA-654|LEX-DATA-654"):
        decode_mask((tmp_path / "m.png").read_bytes(), tmp_path / "m.png")


@pytest.mark.parametrize(
    ("suffix", "options", "lossy"),
    [
        ("jpg", {}, True),
        ("png", {}, False),
        ("webp", {}, True),
        ("webp", {"lossless": True}, False),
        ("tif", {"compression": "jpeg"}, True),
        ("tif", {"compression": "tiff_lzw"}, False),
    ],
)
def test_lossy_files_are_known(tmp_path: Path, suffix: str, options: dict, lossy: bool) -> None:
    path = tmp_path / f"m.{suffix}"
    Image.fromarray(np.repeat(RAMP[..., None], 3, 2).astype(np.uint8)).save(path, **options)
    assert decode_mask(read_content(path), path).is_lossy == lossy


def test_large_pictures_are_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((40, 40), 9, np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40), np.float64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_image(tmp_path / "a.png")
        assert not said
        with Image.open(tmp_path / "a.png"):  # Lexiseg changes no warnings of other code
            pass
    assert [warning.category for warning in said] == [Image.DecompressionBombWarning]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for suffix in ("png", "tif"):
        with pytest.raises(DataError, match=r"limit of 200.*resize it"):
            read_image(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("start", "named"), [(b"\0\0\0\x18ftypheic", "HEIC"), (b"\0\0\0\x18ftypavif", "AVIF"), (b"GIF89a", "GIF")]
)
def test_formats_that_are_not_read_are_named(tmp_path: Path, start: bytes, named: str) -> None:
    (tmp_path / "a.png").write_bytes(start + b"\0" * 64)
    with pytest.raises(DataError, match=named):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("tag", "change"),
    [
        pytest.param("PhotometricInterpretation", {4: struct.pack("<I", 0)}, id="no value"),
        pytest.param("Compression", {2: struct.pack("<H", 2)}, id="text for a number"),
        pytest.param("TileLength", {0: struct.pack("<H", 65000)}, id="tiles without a length"),
    ],
)
def test_a_damaged_tag_of_a_tiff_is_a_damaged_file(
    tmp_path: Path, tag: str, change: dict[int, bytes]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.arange(24 * 20, dtype=np.uint16).reshape(24, 20), tile=(16, 16))
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.tags[tag].offset
    content = bytearray(path.read_bytes())
    for offset, value in change.items():
        content[start + offset : start + offset + len(value)] = value
    path.write_bytes(content)
    with refuses("LEX-DATA-019", "damaged"):
        read_image(path)


def test_unsupported_tiffs_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((8, 8), np.complex64))
    with pytest.raises(DataError, match="LEX-DATA-653"):
        read_image(tmp_path / "c.tif")
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).convert("CMYK").save(buffer, "TIFF")
    (tmp_path / "k.tif").write_bytes(buffer.getvalue())
    assert read_image(tmp_path / "k.tif").shape == (8, 8, 3)
