import io
import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_header
from lexiseg.data.decoding.stored_pixels import scale_to_8bit
from lexiseg.data.readers import MaskCoding, image_size, read_image, read_mask, write_mask
from lexiseg.errors import DataError
from refusals import refuses

BINARY = MaskCoding(kind="values", values=(0, 255), labels=(0, 1))
GREY = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
LOSSLESS = {"png": {}, "bmp": {}, "tif": {}, "tiff": {"compression": "tiff_lzw"}, "webp": {"lossless": True}}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_grey_and_rgb_read_exactly_in_every_lossless_format(tmp_path: Path, suffix: str) -> None:
    for pixels, expected in ((GREY, np.repeat(GREY[..., None], 3, axis=2)), (RGB, RGB)):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(pixels).save(path, **LOSSLESS[suffix])
        read = read_image(path)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, expected)
        assert image_size(path) == (6, 8)


def test_jpeg_reads_as_three_channels(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 24), 100, np.uint8)).save(tmp_path / "a.jpg")
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (16, 24, 3)
    assert abs(int(read.mean()) - 100) <= 1


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (200, 100, 50, 255)
    rgba[0, 1] = (200, 100, 50, 0)
    rgba[1, 0] = (200, 100, 50, 51)
    rgba[1, 1] = (201, 100, 50, 128)  # 201 * 128 / 255 = 100.9
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[0, 0], (200, 100, 50))
    np.testing.assert_array_equal(read[0, 1], (0, 0, 0))
    np.testing.assert_array_equal(read[1, 0], (40, 20, 10))
    np.testing.assert_array_equal(read[1, 1], (101, 50, 25))


def test_palette_images_show_their_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 0, 100])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), [[[10, 20, 30], [200, 0, 100]]])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_between_its_percentiles(tmp_path: Path, suffix: str) -> None:
    deep = np.linspace(1000, 5000, 10_000).astype(np.uint16).reshape(100, 100)
    deep[0, 0] = 65535  # a burnt-in marker must not set the range
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    read = read_image(tmp_path / f"a.{suffix}")
    assert read[0, 0, 0] == 255
    assert read[0, 1, 0] == 0
    assert read[-1, -1, 0] == 255
    assert abs(int(read[50, 0, 0]) - 128) <= 1
    np.testing.assert_array_equal(read[..., 0], read[..., 2])


def test_scale_to_8bit_by_hand() -> None:
    values = np.array([[0, 50, 100]], np.uint16)
    # Percentiles 0.5 and 99.5 of (0, 50, 100) are 0.5 and 99.5: 50 -> 49.5 / 99 * 255 = 127.5 -> 128 (even).
    np.testing.assert_array_equal(scale_to_8bit(values), [[0, 128, 255]])
    np.testing.assert_array_equal(scale_to_8bit(np.full((3, 3), 7, np.uint16)), np.zeros((3, 3)))
    lone = np.zeros((100, 100), np.uint16)
    lone[3, 4] = 9
    assert scale_to_8bit(lone)[3, 4] == 255


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_rgb_tiff(tmp_path: Path, planar: str) -> None:
    deep = RGB.astype(np.uint16) * 200
    stored = deep if planar == "contig" else np.moveaxis(deep, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, scale_to_8bit(deep))
    assert image_size(tmp_path / "a.tif") == (6, 8)


def test_16_bit_rgba_tiff_is_laid_over_black(tmp_path: Path) -> None:
    deep = np.zeros((4, 4, 4), np.uint16)
    deep[..., :3] = 40_000
    deep[0, :, 3] = 65535
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extrasamples=["unassalpha"])
    read = read_image(tmp_path / "a.tif")
    assert read[0].min() == 255
    assert read[1:].max() == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_with_white_as_zero_is_turned_round(tmp_path: Path, dtype: type) -> None:
    ramp = np.linspace(0, np.iinfo(dtype).max, 64).astype(dtype).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="miniswhite")
    read = read_image(tmp_path / "a.tif")
    assert read[0, 0, 0] == 255
    assert read[-1, -1, 0] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
def test_exif_orientation_is_noted_and_not_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif, **LOSSLESS.get(suffix, {}))
    read = read_image(path)
    assert read.shape == RGB.shape
    if suffix != "jpg":
        np.testing.assert_array_equal(read, RGB)
    assert image_size(path) == (6, 8)
    assert decode_header(read_content(path), path).turned == (orientation != 1)


def test_header_reads_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_encoded("png")[:200])
    assert image_size(path) == (64, 64)
    with refuses("LEX-DATA-019", "damaged or truncated"):
        read_image(path)


def _encoded(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_errors_that_name_the_file(tmp_path: Path, suffix: str, share: float) -> None:
    content = _encoded(suffix)
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"cut\.{suffix}.*(damaged or truncated|not a readable image)"):
        read_image(path)


def test_corrupt_png_is_an_error(tmp_path: Path) -> None:
    content = bytearray(_encoded("png"))
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    (tmp_path / "a.png").write_bytes(content)
    with refuses("LEX-DATA-019", "a.png is damaged"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file. Copy it again, or remove it."),
        (b"<html>", "an HTML, XML or SVG file. Download or export the image itself."),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer. Run: git lfs pull"),
        (b"plain text", "a text file. Remove it from the images."),
        (b"GIF89a" + bytes(20), "a GIF file. Save it as PNG."),
        (b"%PDF-1.7\n", "a PDF document. Export its pictures as PNG."),
        (b"PK\x03\x04" + bytes(20), "a ZIP archive or an Office document."),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a file of the kind HEIC. Export it as PNG or JPEG."),
        (b"\x89PNG\r\n\x1a\n", "a damaged PNG file. Copy it again, or remove it."),
        (bytes(range(200, 256)), "a file of an unknown kind. Open it in the program that wrote it"),
    ],
)
def test_what_is_no_image_is_named_with_the_way_out(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with refuses("LEX-DATA-013", "expected PNG, JPEG, TIFF, BMP, WebP or DICOM, got", found) as caught:
        read_image(tmp_path / "a.png")
    # No bytes are shown: they tell a person nothing.
    assert "\\x" not in str(caught.value)


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with refuses("LEX-DATA-009", "none.png does not exist"):
        read_image(tmp_path / "none.png")
    with refuses("LEX-DATA-010", "cannot be read"):
        read_image(tmp_path)


def test_stacks_and_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (1, 200)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with refuses("LEX-DATA-014", "single 2-D image"):
        read_image(tmp_path / "a.tif")
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with refuses("LEX-DATA-014", "2 pages or frames"):
        read_image(tmp_path / "a.webp")
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((3, 8, 8), np.float64), photometric="minisblack")
    with refuses("LEX-DATA-016", "3 pages"):
        read_image(tmp_path / "deep.tif")


def test_tiff_of_many_channels_is_refused(tmp_path: Path) -> None:
    stack = np.zeros((8, 8, 6), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", planarconfig="contig")
    with refuses("LEX-DATA-015", "6 channels; expected"):
        read_image(tmp_path / "a.tif")


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    # Pillow opens no floats of 64 bits, so this file is measured by another reader.
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((64, 64), np.float64))
    for name in ("a.png", "b.tif"):
        with refuses("LEX-DATA-012", name, "suspiciously many pixels: more than the limit of 2,000"):
            read_image(tmp_path / name)


def test_mask_of_another_value_names_file_and_values(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 17]], np.uint8)).save(tmp_path / "m.png")
    with refuses("LEX-DATA-092", "m.png has pixels"):
        read_mask(tmp_path / "m.png", BINARY)


def test_mask_with_fractions_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "m.tif")
    with refuses("LEX-DATA-020", "fractions or negative numbers"):
        read_mask(tmp_path / "m.tif", BINARY)


def test_deep_colour_masks_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", RGB.astype(np.uint16) * 200, photometric="rgb")
    with refuses("LEX-DATA-011", "more than 8"):
        read_mask(tmp_path / "m.tif", BINARY)


@pytest.mark.parametrize(("suffix", "num_classes"), itertools.product(["png", "bmp", "tif", "webp"], [2, 4]))
def test_written_masks_read_back(tmp_path: Path, suffix: str, num_classes: int) -> None:
    labels = np.random.default_rng(0).integers(0, num_classes, (13, 17)).astype(np.uint8)
    coding = BINARY
    if num_classes > 2:
        coding = MaskCoding(kind="values", values=tuple(range(4)), labels=tuple(range(4)))
    write_mask(tmp_path / "new" / f"m.{suffix}", labels, num_classes=num_classes)
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / f"m.{suffix}", coding), labels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"m.{suffix}"]


def test_masks_are_not_written_with_loss(tmp_path: Path) -> None:
    with refuses("LEX-USE-013", "lossless formats .png"):
        write_mask(tmp_path / "m.jpg", np.zeros((2, 2), np.uint8))


def test_reading_in_threads_gives_the_same(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    read: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: read.append(read_image(tmp_path / "a.png"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 8
    assert all(np.array_equal(pixels, RGB) for pixels in read)
