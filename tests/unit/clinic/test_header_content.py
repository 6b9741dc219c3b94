"""Headers of DICOM files between processes: the same elements, within a limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_files import dicom_dataset, dicom_file, shipped
from lexiseg.clinic import header_content as module
from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.header_content import header_content
from lexiseg.clinic.image import image_of
from lexiseg.clinic.series import file_without_pixels
from lexiseg.clinic.source_header import PIXELS, source_header
from lexiseg.clinic.view import AS_STORED
from refusals import refuses


def passed_on(path: Path) -> tuple[Dataset, Dataset]:
    """Return a file without its pixels, and what another process gets of it."""
    dataset = file_without_pixels(path)
    for tag in [
        element.tag for element in dataset if element.tag.element == 0
    ]:  # lengths of groups are not written
        del dataset[tag]
    return dataset, read_dataset(header_content(dataset, path), path)


@pytest.mark.parametrize(
    "name",
    [
        "ExplVR_BigEnd.dcm", "eCT_Supplemental.dcm", "vlut_04.dcm", "mlut_18.dcm", "CT_small.dcm",
        "badVR.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "examples_palette.dcm", "image_dfl.dcm",
    ],
)  # fmt: skip
def test_a_header_keeps_all_but_pixels_and_private_elements(name: str) -> None:
    path = shipped(name)
    before, after = passed_on(path)
    assert {element.tag for element in before if not element.tag.is_private} - {
        element.tag for element in after
    } <= {pydicom.tag.Tag(keyword) for keyword in PIXELS}
    assert not any(element.tag.is_private for element in after)
    # Written objects repeat the same values, and the image is shown in the same way.
    assert source_header(before, path, 0) == source_header(after, path, 0)
    one, other = (image_of(found, path, 0, AS_STORED) for found in (before, after))
    assert one.facts == other.facts
    assert one.chosen.words == other.chosen.words


@pytest.mark.parametrize("implicit", [True, False])
def test_a_header_of_a_file_without_transfer_syntax_states_it(tmp_path: Path, implicit: bool) -> None:
    path = dicom_file(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8))
    dataset = pydicom.dcmread(path)
    del dataset.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=True)
    before, after = passed_on(path)
    assert before.PatientName == after.PatientName == "Test^Phantom"
    stated = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    assert before.file_meta.TransferSyntaxUID == after.file_meta.TransferSyntaxUID == stated


def test_names_of_other_scripts_stay(tmp_path: Path) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        np.zeros((4, 4), np.uint8),
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=\u5c71\u7530^\u592a\u90ce",
    )
    before, after = passed_on(path)
    assert before.PatientName == after.PatientName == "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"


def test_an_element_that_cannot_be_written_is_left_out() -> None:
    dataset = dicom_dataset(np.zeros((4, 4), np.uint8))
    dataset.add(DataElement(0x00189004, "US", "no number"))
    after = read_dataset(header_content(dataset, Path("a.dcm")), Path("a.dcm"))
    assert 0x00189004 not in after
    assert after.PatientName == "Test^Phantom"
    assert 0x00189004 in dataset


def test_a_header_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dicom_dataset(np.zeros((4, 4), np.uint8))
    size = len(header_content(dataset, Path("a.dcm")))
    monkeypatch.setattr(module, "LARGEST_HEADER", size)
    assert len(header_content(dataset, Path("a.dcm"))) == size
    monkeypatch.setattr(module, "LARGEST_HEADER", size - 1)
    with refuses("LEX-DATA-1670", f"The header of a.dcm has {size:,} bytes"):
        header_content(dataset, Path("a.dcm"))


def test_the_header_of_a_source_keeps_its_numbers_and_drops_impossible_values(tmp_path: Path) -> None:
    path = dicom_file(
        tmp_path / "a.dcm",
        np.zeros((4, 4), np.uint16),
        modality="CT",
        SeriesNumber=7,
        InstanceNumber=3,
        RescaleSlope="2.5",
        WindowCenter=["40", "50"],
        PatientWeight="70.5",
    )
    header = source_header(pydicom.dcmread(path), path, 0)
    assert (header.SeriesNumber, header.InstanceNumber, header.RescaleSlope) == (7, 3, 2.5)
    assert list(header.WindowCenter) == [40, 50]
    assert header.PatientWeight == 70.5
    content = path.read_bytes()
    path.write_bytes(content.replace(b"70.5", b"70,5"))
    assert "PatientWeight" not in source_header(pydicom.dcmread(path), path, 0)
