"""Grey values: each step of the standard once, in its order, with values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_files import dicom_file, ramp, shipped
from lexiseg.clinic.view import View, Window, parse_view
from lexiseg.data.readers import read_image, read_image_with_facts
from refusals import refuses

WINDOW = {"WindowCenter": "750", "WindowWidth": "1501"}


def grey(path: Path, view: View | None = None) -> list[list[int]]:
    pixels = read_image_with_facts(path, view or View()).pixels
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0].tolist()


def notes(path: Path, view: View | None = None) -> str:
    facts = read_image_with_facts(path, view or View()).facts
    assert facts is not None
    return " ".join(facts.assumptions)


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def test_monochrome1_is_inverted_once_and_after_the_window(tmp_path: Path) -> None:
    values = np.array([[0, 375], [750, 1500]], np.uint16)
    plain = grey(dicom_file(tmp_path / "a.dcm", values, **WINDOW))
    assert plain == [[0, 64], [128, 255]]
    inverted = grey(dicom_file(tmp_path / "b.dcm", values, photometric="MONOCHROME1", **WINDOW))
    assert inverted == [[255, 191], [127, 0]]
    # The usual statement of the same thing does not invert it again.
    both = dicom_file(
        tmp_path / "c.dcm", values, photometric="MONOCHROME1", PresentationLUTShape="INVERSE", **WINDOW
    )
    assert grey(both) == inverted
    assert "PresentationLUTShape" not in notes(both)
    alone = dicom_file(tmp_path / "d.dcm", values, PresentationLUTShape="INVERSE", **WINDOW)
    assert grey(alone) == inverted
    assert "PresentationLUTShape is INVERSE for MONOCHROME2" in notes(alone)


def test_a_real_monochrome1_radiograph_is_inverted() -> None:
    # Stored values 1994 to 2802, slope 0.684, intercept 200, window 1600, 2800: the largest is the darkest.
    pixels = read_image(shipped("dicomdirtests/77654033/CR1/6154"))
    largest, smallest = (0.684 * stored + 200 for stored in (2802, 1994))
    assert pixels.min() == 255 - round(255 * ((largest - 1599.5) / 2799 + 0.5))
    assert pixels.max() == 255 - round(255 * ((smallest - 1599.5) / 2799 + 0.5))


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [("2", "-100", [-100, 100, 300]), ("-1", "200", [200, 100, 0]), (None, None, [0, 100, 200])],
)
def test_slope_and_intercept_come_before_the_window(
    tmp_path: Path, slope: str | None, intercept: str | None, expected: list[int]
) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        np.array([[0, 100, 200]], np.uint16),
        modality="CT",
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter="100",
        WindowWidth="401",
    )
    assert grey(path) == [[round(255 * np.clip((v - 99.5) / 400 + 0.5, 0, 1)) for v in expected]]


def test_the_modality_table_replaces_slope_and_intercept(tmp_path: Path) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        np.array([[0, 1, 2]], np.uint16),
        ModalityLUTSequence=[lut([10, 20, 40], 0, 16)],
        RescaleSlope="1000",
        RescaleIntercept="5",
        WindowCenter="20.5",
        WindowWidth="41",
    )
    assert grey(path) == [[round(255 * (v - 20) / 40 + 127.5) for v in (10, 20, 40)]]
    # The table of this file holds what its slope and intercept do not.
    assert read_image(shipped("mlut_18.dcm")).std() > 50


def test_angiography_keeps_its_values_for_display(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "RescaleSlope": "2",
        "RescaleIntercept": "7",
        "WindowCenter": "128",
        "WindowWidth": "256",
    }
    pixels = np.array([[0, 50, 255]], np.uint8)
    assert grey(dicom_file(tmp_path / "a.dcm", pixels, modality="XA", **values)) == [[0, 50, 255]]
    assert grey(dicom_file(tmp_path / "b.dcm", pixels, modality="CR", **values)) == [[7, 107, 255]]


def test_the_table_of_values_comes_before_the_window_and_is_said(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    table = [lut([0, 100, 200, 255], 0, 8)]
    path = dicom_file(tmp_path / "a.dcm", pixels, VOILUTSequence=table, WindowCenter="2", WindowWidth="2")
    assert grey(path) == [[0, 100, 200, 255]]
    assert "VOI LUT" in notes(path)
    assert "VOI LUT" not in notes(dicom_file(tmp_path / "b.dcm", pixels, VOILUTSequence=table))
    chosen = View(window=Window(center=2, width=3))
    assert grey(path, chosen) == [[0, 64, 191, 255]]
    # 12 bits of entries, 8 of pixels.
    shown = read_image(shipped("vlut_04.dcm"))
    assert (shown.min(), shown.max()) == (0, 255)


def test_a_table_of_8_bits_holds_for_more_values_than_8_bits(tmp_path: Path) -> None:
    entries = [min(255, value // 4) for value in range(1024)]
    pixels = np.array([[0, 300, 600, 1023]], np.uint16)
    path = dicom_file(tmp_path / "a.dcm", pixels, VOILUTSequence=[lut(entries, 0, 8)])
    assert grey(path) == [[0, 75, 150, 255]]
    packed = Dataset()
    packed.add_new("LUTDescriptor", "US", [1024, 0, 8])
    packed.add_new("LUTData", "OW", bytes(entries))
    assert grey(dicom_file(tmp_path / "b.dcm", pixels, VOILUTSequence=[packed])) == [[0, 75, 150, 255]]


def test_a_damaged_table_is_one_error(tmp_path: Path) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 8])
    path = dicom_file(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), VOILUTSequence=[item])
    with refuses("LEX-DATA-958", "a.dcm", "no LUTData", "option 'window'"):
        read_image(path)
    path = dicom_file(tmp_path / "b.dcm", np.zeros((2, 2), np.uint16), ModalityLUTSequence=[item])
    with refuses("LEX-DATA-957", "b.dcm", "no LUTData"):
        read_image(path)


@pytest.mark.parametrize(
    ("descriptor", "entries", "reason"),
    [
        ([4, 0], [1, 2, 3, 4], "its LUTDescriptor holds 2 numbers; expected 3"),
        ([4, 0, 8], None, "it holds no entries; expected 4"),
        ([10, 0, 12], [1, 2, 3], "it holds 3 entries; expected 10"),
        ([3, 0, 7], [1, 2, 3], "it states 7 bits per entry; expected 8 to 16"),
    ],
)
def test_what_contradicts_itself_in_a_table_is_named(
    tmp_path: Path, descriptor: list[int], entries: list[int] | None, reason: str
) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", entries)
    path = dicom_file(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), VOILUTSequence=[item])
    with refuses("LEX-DATA-958", reason):
        read_image(path)


def test_a_window_without_width_is_not_used(tmp_path: Path) -> None:
    without = grey(dicom_file(tmp_path / "a.dcm", ramp()))
    path = dicom_file(tmp_path / "b.dcm", ramp(), WindowCenter="0", WindowWidth="1")
    assert grey(path) == without
    assert "no usable width" in notes(path)
    assert "states no window" in notes(path)
    # Black and white at the ends, and the values between rise.
    assert (without[0][0], without[3][3]) == (0, 255)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # (v - 99.5) / 199 + 0.5, (v - 100) / 200 + 0.5, 1 / (1 + exp(-4 (v - 100) / 200))
        ("LINEAR", [0, round(255 * (0.5 / 199 + 0.5)), 255]),
        ("LINEAR_EXACT", [0, 128, 255]),
        ("SIGMOID", [round(255 / (1 + np.e**2)), 128, round(255 / (1 + np.e**-2))]),
    ],
)
def test_window_functions(tmp_path: Path, function: str, expected: list[int]) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        np.array([[0, 100, 200]], np.uint16),
        WindowCenter="100",
        WindowWidth="200",
        VOILUTFunction=function,
    )
    assert grey(path) == [expected]


def test_linear_and_linear_exact_differ(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    values = {"WindowCenter": "2", "WindowWidth": "4"}
    assert grey(dicom_file(tmp_path / "a.dcm", pixels, **values)) == [[0, 85, 170, 255]]
    exact = dicom_file(tmp_path / "b.dcm", pixels, VOILUTFunction="LINEAR_EXACT", **values)
    assert grey(exact) == [[0, 64, 128, 191]]


def test_the_first_of_several_windows_is_used_and_said(tmp_path: Path) -> None:
    pixels = np.array([[0, 100, 200]], np.uint16)
    path = dicom_file(tmp_path / "a.dcm", pixels, WindowCenter=["100", "50"], WindowWidth=["201", "11"])
    assert grey(path) == [[1, 128, 255]]
    assert "several windows" in notes(path)
    chosen = View(window=Window(center=50, width=11))
    assert grey(path, chosen) == [[0, 255, 255]]
    assert "several windows" not in notes(path, chosen)


def test_a_ct_takes_the_window_of_its_body_part_on_request(tmp_path: Path) -> None:
    values = {"modality": "CT", "RescaleIntercept": "-1024", "RescaleSlope": "1", "WindowCenter": "40"}
    pixels = np.array([[0, 424, 1100]], np.uint16)
    chest = dicom_file(tmp_path / "a.dcm", pixels, WindowWidth="400", **values)
    assert grey(chest)[0][1] == 0
    # -600 HU is the centre of the lung window.
    assert grey(chest, View(by_body_part=True))[0][1] == 128
    knee = dicom_file(tmp_path / "b.dcm", pixels, WindowWidth="400", BodyPartExamined="KNEE", **values)
    assert grey(knee, View(by_body_part=True)) == grey(knee)
    assert "body part has no window" in notes(knee, View(by_body_part=True))


def test_rescale_and_window_in_functional_groups_are_used() -> None:
    view = View(frame=1)
    facts = read_image_with_facts(shipped("eCT_Supplemental.dcm"), view).facts
    assert facts is not None
    assert facts.shown == "window 49, 102 of the file"
    assert facts.directions is not None
    assert facts.spacing.origin == "body"
    # The intercept of -1024 puts the window on the brain; without it everything would be white.
    pixels = read_image_with_facts(shipped("eCT_Supplemental.dcm"), view).pixels
    assert 0.05 < (pixels[..., 0] > 0).mean() < 0.5
    assert "colour map" in " ".join(facts.assumptions)


def test_padding_is_black_and_does_not_stretch_the_range(tmp_path: Path) -> None:
    pixels = ramp(20, 20, np.int16, 1)
    pixels[0] = -2000
    path = dicom_file(tmp_path / "a.dcm", pixels, modality="CT", PixelPaddingValue=-2000)
    shown = np.array(grey(path))
    assert (shown[0] == 0).all()
    assert shown[1, 0] < 5
    assert shown[19, 19] == 255
    inverted = dicom_file(
        tmp_path / "b.dcm", pixels, modality="CT", photometric="MONOCHROME1", PixelPaddingValue=-2000
    )
    assert (np.array(grey(inverted))[0] == 0).all()
    assert "PixelPaddingValue" in notes(path)


@pytest.mark.parametrize(
    ("kind", "vr", "stated", "stored"),
    [(np.int16, "US", 63536, -2000), (np.uint16, "SS", -2000, 63536), (np.int16, "SS", -2000, -2000)],
)
def test_padding_with_the_type_of_other_numbers_is_found(
    tmp_path: Path, kind: type[np.integer[Any]], vr: str, stated: int, stored: int
) -> None:
    pixels = ramp(20, 20, kind, 1)
    pixels[0] = stored
    path = dicom_file(tmp_path / "a.dcm", pixels, modality="CT")
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", vr, stated)
    dataset.save_as(path)
    shown = np.array(grey(path))
    assert (shown[0] == 0).all()
    assert shown[1, 0] < 5
    assert shown[19, 19] == 255


def test_odd_and_signed_depths(tmp_path: Path) -> None:
    window = {"WindowCenter": "0.5", "WindowWidth": "1024"}
    signed = np.array([[-512, 0, 511]], np.int16)
    assert grey(dicom_file(tmp_path / "a.dcm", signed, bits=10, **window)) == [[0, 128, 255]]
    # Bits above the stored ones belong to an overlay and are no values.
    pixels = np.array([[0, 5, 1023]], np.uint16)
    dataset = dicom_file(tmp_path / "b.dcm", pixels, bits=10, WindowCenter="512", WindowWidth="1024")
    content = bytearray(dataset.read_bytes())
    place = content.rfind(pixels.tobytes())
    content[place : place + 6] = (pixels | 0x8000).tobytes()
    dataset.write_bytes(bytes(content))
    assert grey(dataset) == [[0, 1, 255]]


def test_chosen_windows_are_checked() -> None:
    assert parse_view("40,400") == View(window=Window(center=40, width=400))
    assert parse_view("-600, 1500", 3) == View(window=Window(center=-600, width=1500), frame=3)
    assert parse_view("body-part") == View(by_body_part=True)
    assert parse_view(None) == View()
    for wrong in ("40", "40,0", "a,b", "1,2,3", "nan,5", "1,inf"):
        with refuses("LEX-USE-942", wrong):
            parse_view(wrong)
    with refuses("LEX-USE-941", "0"):
        parse_view(None, 0)


def test_an_image_of_nan_is_refused(tmp_path: Path) -> None:
    path = dicom_file(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), RescaleSlope="1")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.FloatPixelData = np.full((2, 2), np.nan, np.float32).tobytes()
    dataset.BitsAllocated = 32
    del dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.save_as(path)
    with refuses("LEX-DATA-959", "a.dcm"):
        read_image(path)
