"""Colours and transfer syntaxes: real files of several devices, against their uncompressed twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicom_files import dicom_dataset, dicom_file, shipped
from lexiseg.clinic import frame_pixels
from lexiseg.clinic.view import View
from lexiseg.data.readers import read_image, read_image_with_facts
from lexiseg.extras import install_hint
from refusals import refuses


def shown(name: str, frame: int | None = None) -> np.ndarray:
    return read_image_with_facts(shipped(name), View(frame=frame)).pixels.astype(int)


def test_luminance_and_chroma_become_rgb() -> None:
    # Ultrasound is grey in most places; chroma taken for colour would be green and pink.
    pixels = shown("examples_ybr_color.dcm", 1)
    sector = pixels[60:300, 50:250]
    assert np.abs(sector[..., 0] - sector[..., 1]).max() < 20
    plain, full = shown("SC_rgb.dcm"), shown("SC_ybr_full_uncompressed.dcm")
    assert np.abs(plain - full).max() <= 8
    assert np.abs(plain - shown("SC_ybr_full_422_uncompressed.dcm")).mean() < 2


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+n2.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_32bit.dcm",
    ],
)
def test_compressed_colours_are_those_of_the_plain_file(name: str) -> None:
    assert np.abs(shown(name) - shown("SC_rgb.dcm")).mean() < 3


def test_the_decoder_of_a_syntax_is_always_the_same() -> None:
    used = frame_pixels._decoder_plugin(pydicom.dcmread(shipped("SC_rgb_dcmtk_+eb+cr.dcm")), Path("a"))
    assert used == "gdcm"
    used = frame_pixels._decoder_plugin(pydicom.dcmread(shipped("JPEG2000.dcm")), Path("a"))
    assert used == "pylibjpeg"


def test_a_palette_is_resolved() -> None:
    pixels = shown("examples_palette.dcm")
    # The blue bar at the top; indices as grey would have equal channels.
    assert (pixels[5, :, 2] > pixels[5, :, 0] + 30).mean() > 0.5
    little, big = shown("OBXXXX1A.dcm"), shown("OBXXXX1A_expb.dcm")
    assert np.abs(little - big).max() <= 1
    assert np.abs(shown("gdcm-US-ALOKA-16.dcm") - shown("gdcm-US-ALOKA-16_big.dcm")).max() <= 1


def test_colour_by_plane_and_by_pixel_are_the_same(tmp_path: Path) -> None:
    assert np.array_equal(shown("color-pl.dcm"), shown("color-px.dcm"))
    assert shown("ExplVR_BigEnd.dcm").shape == (60, 80, 3)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = dicom_file(tmp_path / "a.dcm", pixels, modality="ES", photometric="RGB", PatientOrientation=None)
    assert np.array_equal(read_image(path), pixels)
    dataset = pydicom.dcmread(path)
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.moveaxis(pixels, -1, 0).tobytes() + b"\0"
    dataset.save_as(path)
    assert np.array_equal(read_image(path), pixels)


def test_colours_of_other_depths_are_scaled_by_their_bits(tmp_path: Path) -> None:
    pixels = np.array([[[0, 2048, 4095]]], np.uint16)
    path = dicom_file(tmp_path / "a.dcm", pixels, modality="OT", photometric="RGB", bits=12)
    assert read_image(path).tolist() == [[[0, 128, 255]]]


def test_the_sign_of_jpeg_2000_is_that_of_the_file() -> None:
    # Without the sign, -2000 outside of the patient would read as 6192 and be white.
    pixels = shown("J2K_pixelrep_mismatch.dcm")
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels.mean() < 128


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless, JPEG2000Lossless])
def test_signed_values_survive_compression(tmp_path: Path, syntax: str) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(-2000, 2000, (32, 32)).astype(np.int16)
    window = {"modality": "CT", "WindowCenter": "0", "WindowWidth": "4000"}
    plain = read_image(dicom_file(tmp_path / "a.dcm", pixels, **window))
    dataset = dicom_dataset(pixels, **window)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    assert np.array_equal(read_image(tmp_path / "b.dcm"), plain)


def test_jpeg_2000_has_the_range_of_its_uncompressed_twin() -> None:
    for name in ("693", "MR2", "RG1", "RG3", "US1"):
        reversible, plain = shown(f"{name}_J2KR.dcm"), shown(f"{name}_UNCR.dcm")
        assert np.abs(reversible - plain).max() == 0, name
    assert np.abs(shown("693_J2KI.dcm") - shown("693_UNCI.dcm")).max() == 0


def test_deflated_and_big_endian_files_are_read() -> None:
    assert shown("image_dfl.dcm").std() > 30
    assert np.array_equal(shown("MR_small_bigendian.dcm"), shown("MR_small.dcm"))
    assert np.array_equal(shown("MR_small_jpeg_ls_lossless.dcm"), shown("MR_small.dcm"))


def test_a_missing_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shipped("SC_rgb_jpeg_gdcm.dcm")
    decoder = get_decoder(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
    monkeypatch.setattr(decoder, "_available", {})
    with refuses("LEX-DATA-956", "JPEG", install_hint("dicom")):
        read_image(path)


def test_a_syntax_without_decoder_is_named(tmp_path: Path) -> None:
    dataset = dicom_dataset(np.zeros((4, 4), np.uint8))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    video = b"1.2.840.10008.1.2.4.102"
    content = (tmp_path / "a.dcm").read_bytes()
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    dataset.file_meta.TransferSyntaxUID = video.decode()
    with refuses("LEX-DATA-955", "MPEG-4"):
        frame_pixels.decode_frame(dataset, tmp_path / "a.dcm", 0, pixel_limit=100)
    assert content


def test_frames_are_chosen_one_by_one() -> None:
    path = shipped("examples_ybr_color.dcm")
    with refuses("LEX-DATA-948", "30 frames", "(1 to 30) with the option 'frame'"):
        read_image(path)
    with refuses("LEX-DATA-949", "frame 31"):
        shown("examples_ybr_color.dcm", 31)
    first, last = shown("SC_rgb_2frame.dcm", 1), shown("SC_rgb_2frame.dcm", 2)
    assert first.shape == last.shape == (100, 100, 3)
    assert not np.array_equal(first, last)
