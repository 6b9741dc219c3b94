"""Signs of identifying data: headers, paths and text in pixels; values are never repeated."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from pydicom.encaps import encapsulate

from dicom_files import dicom_dataset, dicom_file, shipped
from lexiseg.clinic.burned_in_text import text_regions
from lexiseg.clinic.identifying_data import Sign, header_signs, path_signs
from lexiseg.clinic.view import View
from lexiseg.data.identifying_data import check_identifying
from lexiseg.data.readers import read_image, read_image_with_facts
from refusals import refuses

#: What removes all that `dicom_dataset` states of patient and time.
CLEAN: dict[str, Any] = {"PatientName": "", "PatientID": "", "StudyDate": "", "ContentDate": ""}
GREY = np.full((40, 60), 90, np.uint8)


def signs(**values: Any) -> set[tuple[str, str]]:
    return {(sign.kind, sign.detail) for sign in header_signs(dicom_dataset(GREY, **values))}


def test_attributes_of_a_header() -> None:
    assert signs(**CLEAN) == set()
    assert signs(**{**CLEAN, "PatientName": "Doe^Jane"}) == {("attribute", "PatientName")}
    assert signs(**{**CLEAN, "OperatorsName": "A^B", "StudyDate": "20260102"}) == {
        ("attribute", "OperatorsName"),
        ("date", "StudyDate"),
    }
    assert signs(**CLEAN, BurnedInAnnotation="YES") == {("burned-in", "BurnedInAnnotation is YES")}
    # A pseudonym may stay where the file states that it is one; a birth date may not.
    pseudonym = {**CLEAN, "PatientName": "case 7", "PatientID": "7", "PatientIdentityRemoved": "YES"}
    assert signs(**pseudonym) == set()
    assert signs(**pseudonym, PatientBirthDate="19500101") == {("date", "PatientBirthDate")}


def test_private_and_nested_attributes() -> None:
    dataset = dicom_dataset(GREY, **CLEAN)
    block = dataset.private_block(0x0011, "VENDOR", create=True)
    block.add_new(0x01, "LO", "anything")
    request = dicom_dataset(GREY, **{**CLEAN, "AccessionNumber": "A1"})
    dataset.RequestAttributesSequence = [request]
    found = header_signs(dataset)
    assert Sign(kind="private", detail="private attributes") in found
    assert Sign(kind="attribute", detail="AccessionNumber") in found


@pytest.mark.parametrize(
    ("path", "details"),
    [
        ("case01/image_0012.png", []),
        ("1.2.840.10008.5.1.4.1.1.1/2.25.123456789012.dcm", []),
        ("MSD 2018/liver_042.nii.gz", []),
        ("scan_19800517.png", ["a date"]),
        ("17.05.1980/a.png", ["a date"]),
        ("05-17-1980/a.png", ["a date"]),
        ("1980/05/17/a.png", ["a date"]),
        ("MSD2018/1015/a.png", []),
        ("15.20.2000/a.png", []),
        ("12/25_2001.png", []),
        ("scan_1980-13-40.png", []),
        ("mrn00123456/a.png", ["a number of 7 digits or more"]),
        ("Doe^Jane/a.png", ["a name with ^ or a comma"]),
        ("Doe, Jane.png", ["a name with ^ or a comma"]),
        ("jane.doe@example.org/a.png", ["an e-mail address"]),
    ],
)
def test_paths(path: str, details: list[str]) -> None:
    assert [sign.detail for sign in path_signs(PurePath(path))] == details


def test_name_and_id_of_the_file_in_its_path() -> None:
    dataset = dicom_dataset(GREY, PatientName="Doe^Jane", PatientID="Q-4711")
    found = path_signs(PurePath("data/DOE_chest/q-4711.dcm"), dataset)
    assert [sign.detail for sign in found] == ["the name of the patient", "the id of the patient"]
    assert path_signs(PurePath("data/chest/a.dcm"), dataset) == ()


def with_text(background: npt.NDArray[np.uint8], size: int, fill: int = 255) -> npt.NDArray[np.uint8]:
    picture = Image.fromarray(background)
    ImageDraw.Draw(picture).text((12, 30), "DOE^JANE 1950", fill=fill, font_size=size)
    return np.asarray(picture)


@pytest.mark.parametrize("size", [12, 16, 24, 40])
@pytest.mark.parametrize("background", ["black", "noise", "ramp", "white"])
def test_text_in_pixels_is_seen_where_it_is(size: int, background: str) -> None:
    plain = {
        "black": np.zeros((160, 400), np.uint8),
        "noise": np.random.default_rng(1).normal(90, 12, (160, 400)).clip(0, 255).astype(np.uint8),
        "ramp": np.tile(np.linspace(0, 140, 400), (160, 1)).astype(np.uint8),
        "white": np.full((160, 400), 255, np.uint8),
    }[background]
    assert text_regions(plain) == ()
    found = text_regions(with_text(plain, size, fill=0 if background == "white" else 255))
    assert sum(region.letters for region in found) >= 6
    for region in found:
        assert 28 <= region.rows[0] < region.rows[1] <= 30 + 1.5 * size
        assert region.columns[0] >= 10


def test_real_images() -> None:
    # An ultrasound machine writes into its pictures; a radiograph, a CT and an MR slice have no text.
    assert len(text_regions(read_image(shipped("US1_UNCR.dcm")))) > 5
    # Small letters: "Gen THI", of six pixels, in the upper left corner of a small picture.
    (small,) = text_regions(read_image_with_facts(shipped("examples_ybr_color.dcm"), View(frame=1)).pixels)
    assert 13 <= small.rows[0] < small.rows[1] <= 22
    assert 2 <= small.columns[0] < small.columns[1] <= 36
    for name in ("CT_small.dcm", "MR_small.dcm", "693_UNCI.dcm"):
        assert text_regions(read_image(shipped(name))) == ()


def test_a_folder_with_signs_warns_and_is_refused_with_strict(tmp_path: Path) -> None:
    clean = dicom_file(tmp_path / "a.dcm", GREY, **CLEAN)
    assert check_identifying(tmp_path, strict=True).signs == ()
    dicom_file(tmp_path / "b.dcm", GREY, **{**CLEAN, "PatientName": "Doe^Jane"})
    Image.fromarray(with_text(np.zeros((160, 400), np.uint8), 24)).save(tmp_path / "c.png")
    (tmp_path / "list_19800517.csv").write_text("a,b")
    report = check_identifying(tmp_path)
    assert (report.images, report.others, report.unread) == (3, 1, {})
    assert [(sign.kind, sign.files) for sign in report.signs] == [
        ("attribute", ("b.dcm",)),
        ("path", ("list_19800517.csv",)),
        ("pixels", ("c.png",)),
    ]
    with refuses("LEX-DATA-1261", "PatientName", "b.dcm", "c.png") as caught:
        check_identifying(tmp_path, strict=True)
    assert "Doe" not in str(caught.value)
    for name in ("b.dcm", "c.png", "list_19800517.csv"):
        (tmp_path / name).unlink()
    clean.write_bytes(clean.read_bytes()[:600])
    with refuses("LEX-DATA-1262", "a.dcm"):
        check_identifying(tmp_path, strict=True)
    with refuses("LEX-DATA-1260", "absent"):
        check_identifying(tmp_path / "absent")


NAMED = {**CLEAN, "PatientName": "Doe^Jane"}
KINDS = {
    "index.txt": "1.2.840.10008.1.3.10",
    "report.dcm": "1.2.840.10008.5.1.4.1.1.88.11",
    "document.dcm": "1.2.840.10008.5.1.4.1.1.104.1",
    "structures.dcm": "1.2.840.10008.5.1.4.1.1.481.3",
    "state.dcm": "1.2.840.10008.5.1.4.1.1.11.1",
}


@pytest.mark.parametrize("name", KINDS)
def test_headers_of_dicom_files_without_image_are_reported(tmp_path: Path, name: str) -> None:
    dataset = dicom_dataset(GREY, **NAMED, SOPClassUID=KINDS[name])
    del dataset.PixelData
    dataset.save_as(tmp_path / name, enforce_file_format=True)
    report = check_identifying(tmp_path)
    assert [(sign.detail, sign.files) for sign in report.signs] == [("PatientName", (name,))]
    # What a report or a document says is not looked at.
    assert list(report.unread) == [name]


def test_the_index_of_a_disc_is_reported(tmp_path: Path) -> None:
    entry = dicom_dataset(GREY, **NAMED)
    del entry.PixelData
    index = dicom_dataset(GREY, **CLEAN, SOPClassUID=KINDS["index.txt"], DirectoryRecordSequence=[entry])
    del index.PixelData
    index.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    with refuses("LEX-DATA-1261", "PatientName", "DICOMDIR"):
        check_identifying(tmp_path, strict=True)
    report = check_identifying(tmp_path)
    assert (report.images, report.others, report.unread) == (0, 1, {})


def test_a_header_is_reported_where_the_pixels_cannot_be_decoded(tmp_path: Path) -> None:
    dataset = dicom_dataset(GREY, **NAMED)
    # A video, for which there is no decoder.
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    dataset.PixelData = encapsulate([b"no video "])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    report = check_identifying(tmp_path)
    assert [sign.detail for sign in report.signs] == ["PatientName"]
    assert list(report.unread) == ["a.dcm"]


def test_all_dates_and_names_of_a_header() -> None:
    found = signs(
        **CLEAN,
        PerformedProcedureStepStartDate="20260102",
        InstanceCreationDate="20260102",
        EffectiveDateTime="20260102",
        ReviewerName="A^B",
        StudyTime="101500",
    )
    assert found == {
        ("date", "PerformedProcedureStepStartDate"),
        ("date", "InstanceCreationDate"),
        ("date", "EffectiveDateTime"),
        ("attribute", "ReviewerName"),
    }


@pytest.mark.parametrize(
    "text", ["CXR John Smith", "CXR 1970-01-01", "ask j.smith@example.org", "Smith^John"]
)
def test_texts_of_a_header(text: str) -> None:
    named = {**CLEAN, "PatientName": "Smith^John"}
    found = {sign.detail for sign in header_signs(dicom_dataset(GREY, **named, StudyDescription=text))}
    assert any(detail.startswith("StudyDescription with") for detail in found)
    assert signs(**CLEAN, StudyDescription="Chest, PA and lateral") == set()


@pytest.mark.parametrize(
    "texts",
    [
        {"StudyDescription": "Thorax^1_ThoraxRoutine (Adult)", "ProtocolName": "Head^Routine"},
        {"SeriesDescription": "ADC 10^-6 mm^2/s"},
        {"SoftwareVersions": "20210331.1"},
        {"PatientName": "Patient 7", "StudyDescription": "Patient supine"},
        {"PatientName": "Head^Phantom", "StudyDescription": "Phantom, head coil"},
        {"PatientName": "Li^Wei", "StudyDescription": "Wei, Lithium"},
    ],
)
def test_usual_texts_of_clean_headers(texts: dict[str, str]) -> None:
    named = {("attribute", "PatientName")} if "PatientName" in texts else set()
    assert signs(**{**CLEAN, **texts}) == named


def test_a_pseudonym_may_stand_anywhere() -> None:
    texts = {"ClinicalTrialSubjectID": "LUNG1-001", "StudyDescription": "lung ct"}
    named = {**CLEAN, "PatientName": "LUNG1-001", "PatientID": "LUNG1-001", **texts}
    removed = {**named, "PatientIdentityRemoved": "YES"}
    assert signs(**removed) == set()
    path = PurePath("LUNG1-001/a.dcm")
    assert path_signs(path, dicom_dataset(GREY, **removed)) == ()
    assert len(path_signs(path, dicom_dataset(GREY, **named))) == 1
    assert ("attribute", "ClinicalTrialSubjectID with the name or the id of the patient") in signs(**named)
    # What names a person stays a sign.
    assert signs(**removed, ContentDescription="ask j.smith@example.org") == {
        ("attribute", "ContentDescription with a name, a date or an address")
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Patient 7", "of patient 7"),
        ("Li^Wei", "CXR of Wei Li"),
        ("Head^Anna", "anna, abdomen"),
        ("Head^Anna", "thorax of Head, A."),
    ],
)
def test_names_in_texts(name: str, text: str) -> None:
    found = signs(**{**CLEAN, "PatientName": name}, StudyDescription=text)
    expected = ("attribute", "StudyDescription with the name or the id of the patient")
    # A surname that is a usual word is found with the other names only.
    assert (expected in found) is ("Head, A." not in text)


def test_usual_words_of_a_name_in_a_path() -> None:
    dataset = dicom_dataset(GREY, PatientName="Patient 7", PatientID="Phantom")
    assert path_signs(PurePath("patient_07/phantom.dcm"), dataset) == ()


def test_metadata_of_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B], exif[0x010E] = "Jane Smith", "Patient John Smith 1970-01-01"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif, comment=b"John Smith")
    assert {(sign.kind, sign.detail) for sign in check_identifying(tmp_path).signs} == {
        ("attribute", "EXIF Artist"),
        ("attribute", "EXIF GPS position"),
        ("attribute", "EXIF ImageDescription"),
        ("attribute", "JPEG comment"),
        ("date", "EXIF DateTimeOriginal"),
    }
    with refuses("LEX-DATA-1261", "EXIF Artist", "a.jpg") as caught:
        check_identifying(tmp_path, strict=True)
    assert "Smith" not in str(caught.value)


def test_metadata_of_png_and_tiff(tmp_path: Path) -> None:
    texts = PngInfo()
    for keyword, text in {
        "Patient": "Smith^John",
        "Smith": "x",
        "Software": "GIMP",
        "date:create": "2026",
    }.items():
        texts.add_text(keyword, text)
    Image.fromarray(GREY).save(tmp_path / "a.png", pnginfo=texts)
    found = {(sign.kind, sign.detail) for sign in check_identifying(tmp_path).signs}
    assert found == {
        ("attribute", "PNG text Patient"),
        ("attribute", "PNG text with another keyword"),
        ("date", "PNG text with a time"),
    }
    (tmp_path / "a.png").unlink()
    tifffile.imwrite(
        tmp_path / "a.tif", GREY.astype(np.float64), description="John Smith", datetime="2026:01:02 03:04:05"
    )
    found = {(sign.kind, sign.detail) for sign in check_identifying(tmp_path).signs}
    assert found == {("attribute", "TIFF ImageDescription"), ("date", "TIFF DateTime")}


def test_what_programs_write_of_themselves_is_no_sign(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    Image.fromarray(GREY).save(tmp_path / "b.jpg", comment=b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v80)\n")
    Image.fromarray(GREY).save(tmp_path / "c.png")
    assert check_identifying(tmp_path, strict=True).signs == ()
