"""Bad input: one clear message for each file that is no image, and folders of DICOM files without endings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ImplicitVRLittleEndian

from dicom_files import dicom_dataset, dicom_file, ramp, shipped
from lexiseg.clinic import detection
from lexiseg.clinic.dataset import numbers
from lexiseg.clinic.source_header import source_header
from lexiseg.clinic.view import View
from lexiseg.data.content import image_turn, read_content
from lexiseg.data.decode import decode_header, decode_mask, is_image_file
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.readers import (
    image_size,
    infer_mask_coding,
    read_image,
    read_image_with_facts,
    read_mask,
    read_pair,
)
from lexiseg.data.sample import Sample
from lexiseg.extras import install_hint
from lexiseg.inference.inputs.target_search import find_images, find_targets
from lexiseg.inference.writers.dicom_objects import source_dataset
from refusals import refuses

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


def without_pixels(path: Path, kind: str) -> Path:
    dataset = dicom_dataset(ramp())
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = kind
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (ENCAPSULATED_PDF, "LEX-DATA-941", "document"),
        (PRESENTATION_STATE, "LEX-DATA-942", "presentation state"),
        ("1.2.840.10008.5.1.4.1.1.88.34", "LEX-DATA-943", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "LEX-DATA-944", "segmentation"),
        ("1.2.840.10008.1.3.10", "LEX-DATA-945", "DICOMDIR"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "LEX-DATA-1813", "RT Structure Set"),
        ("1.2.840.10008.5.1.4.1.1.1", "LEX-DATA-947", "without pixels"),
    ],
)
def test_each_kind_without_image_is_named(tmp_path: Path, kind: str, code: str, word: str) -> None:
    path = without_pixels(tmp_path / "a.dcm", kind)
    with refuses(code, "a.dcm", word):
        read_image(path)
    with refuses(code, "a.dcm", word):
        image_size(path)


@pytest.mark.parametrize(("number", "word"), [(1, "RT Image"), (2, "RT Dose")])
def test_objects_of_radiotherapy_with_pixels_are_no_images(tmp_path: Path, number: int, word: str) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(), SOPClassUID=f"1.2.840.10008.5.1.4.1.1.481.{number}")
    with refuses("LEX-DATA-1813", "a.dcm", word):
        read_image(path)
    with refuses("LEX-DATA-1813", "a.dcm", word):
        image_size(path)


def test_real_files_without_image_are_refused() -> None:
    for name, code in {
        "test-SR.dcm": "LEX-DATA-943",
        "rtplan.dcm": "LEX-DATA-1813",
        "rtdose_1frame.dcm": "LEX-DATA-1813",
        "liver_1frame.dcm": "LEX-DATA-944",
        "dicomdirtests/DICOMDIR": "LEX-DATA-945",
        "MR_truncated.dcm": "LEX-DATA-953",
        "JPEG2000-embedded-sequence-delimiter.dcm": "LEX-DATA-953",
    }.items():
        with refuses(code, name):
            read_image(shipped(name))


def test_a_kind_of_compression_that_decoders_do_not_know_is_not_called_damage_alone() -> None:
    words = "JPEG Extended", "decoders do not know", "without compression"
    with refuses("LEX-DATA-953", "JPGExtended.dcm", *words):
        read_image(shipped("JPGExtended.dcm"))
    with refuses("LEX-DATA-953", "MR_truncated.dcm is damaged: frame 1") as caught:
        read_image(shipped("MR_truncated.dcm"))
    assert "compression" not in str(caught.value)


def test_damaged_files_are_one_error_each(tmp_path: Path) -> None:
    whole = read_content(dicom_file(tmp_path / "a.dcm", ramp(16, 16)))
    for length in (200, 400, len(whole) // 2, len(whole) - 100):
        path = tmp_path / f"cut{length}.dcm"
        path.write_bytes(whole[:length])
        with pytest.raises(Exception, match=path.name) as caught:
            read_image(path)
        assert caught.value.code.startswith("LEX-DATA-9")  # type: ignore[attr-defined]
    (tmp_path / "empty.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with refuses("LEX-DATA-946", "empty.dcm"):
        read_image(tmp_path / "empty.dcm")
    (tmp_path / "text.dcm").write_text("no image")
    with refuses("LEX-DATA-013", "text.dcm", "DICOM"):
        read_image(tmp_path / "text.dcm")


def changed(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


def test_a_value_that_cannot_be_decoded_is_a_damaged_file(tmp_path: Path) -> None:
    # The slope decides the grey values: a file whose slope is not known is not shown with another one.
    path = changed(dicom_file(tmp_path / "a.dcm", ramp(), RescaleSlope="12.34567"), b"12.34567", b"1:.34567")
    with refuses("LEX-DATA-1020", "a.dcm", "1:.34567", "RescaleSlope"):
        read_image(path)
    # Three bytes are no numbers of two bytes.
    dataset = dicom_dataset(ramp(4, 4))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "b.dcm", implicit_vr=True, little_endian=True, enforce_file_format=True)
    rows = b"\x28\0\x10\0"
    path = changed(tmp_path / "b.dcm", rows + b"\x02\0\0\0\x04\0", rows + b"\x03\0\0\0\x04\0\0")
    for read in (read_image, image_size, lambda file: decode_mask(read_content(file), file)):
        with refuses("LEX-DATA-940", "b.dcm", "damaged"):
            read(path)


def test_numbers_that_are_not_finite_are_not_stated() -> None:
    assert numbers([1, float("inf")]) == []
    assert numbers(float("nan")) == []
    assert numbers([1, 2.5]) == [1.0, 2.5]


def test_objects_do_not_repeat_values_that_cannot_be_decoded(tmp_path: Path) -> None:
    geometry = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "FrameOfReferenceUID": "2.25.9", "SliceThickness": 1,
    }  # fmt: skip
    dicom_file(
        tmp_path / "a.dcm", ramp(), modality="CT", ImagePositionPatient=[1.5, 2.25, 77.125], **geometry
    )
    path = changed(tmp_path / "a.dcm", b"77.125", b"77.:25")
    whole = source_dataset(read_content(path), path)
    header = source_header(whole, path, 0)
    # Without its position the image is a plain picture, not a plane in space.
    assert "ImagePositionPatient" not in header
    assert "ImageOrientationPatient" not in header
    assert header.PatientID == "test"


def test_sizes_and_photometric_interpretations_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dicom_dataset(ramp())
    dataset.PhotometricInterpretation = "CMYK"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with refuses("LEX-DATA-952", "CMYK"):
        read_image(tmp_path / "a.dcm")
    del dataset.Rows
    dataset.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    with refuses("LEX-DATA-950", "rows and columns"):
        read_image(tmp_path / "b.dcm")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with refuses("LEX-DATA-951", "limit of 200"):
        read_image(dicom_file(tmp_path / "c.dcm", ramp(20, 20)))


def test_of_an_enormous_multiframe_one_frame_is_decoded(tmp_path: Path) -> None:
    dataset = dicom_dataset(ramp(), NumberOfFrames=None)
    dataset.NumberOfFrames = 2**31 - 1
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with refuses("LEX-DATA-948", "2147483647 frames"):
        read_image(tmp_path / "a.dcm")
    with refuses("LEX-DATA-953", "frame 3"):
        read_image_with_facts(tmp_path / "a.dcm", View(frame=3))


def test_without_pydicom_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "find_spec", lambda name: None)
    with refuses("LEX-USE-940", install_hint("dicom")):
        read_image(dicom_file(tmp_path / "a.dcm", ramp()))


def test_files_without_ending_are_found_by_their_content(tmp_path: Path) -> None:
    source = dicom_file(tmp_path / "a.dcm", ramp(8, 8))
    for name in ("IM0001", "1.2.840.1", "1.2.840.2", "DICOMDIR", "b.txt"):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "README").write_text("text")
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_image_file(path)] == [
        "1.2.840.1",
        "1.2.840.2",
        "IM0001",
        "a.dcm",
    ]
    targets = find_targets([tmp_path])
    # The last number of an UID is no ending.
    assert [str(target.name) for target in targets] == ["1.2.840.1", "1.2.840.2", "IM0001", "a"]
    skipped = find_images([tmp_path]).unread.skipped
    found = {ending: (files.count, files.example.name) for ending, files in skipped.items()}
    assert found == {"": (2, "DICOMDIR"), ".txt": (1, "b.txt")}
    with refuses("LEX-DATA-099", "DICOMDIR"):
        find_targets([tmp_path / "x" / "DICOMDIR"])


def test_headers_do_not_decode_pixels(tmp_path: Path) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(3, 5), PatientOrientation=None)
    header = decode_header(read_content(path), path)
    assert (header.height, header.width, header.mode) == (3, 5, "DICOM")
    assert header.facts is not None
    assert image_size(path) == (3, 5)
    assert header.orientation == 1


def test_masks_may_be_dicom(tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 1]], np.uint8)
    path = dicom_file(tmp_path / "a.dcm", values, modality="OT")
    found = decode_mask(read_content(path), path)
    assert found.values.tolist() == values.tolist()
    assert not found.is_colour
    real = shipped("liver_1frame.dcm")
    labels = decode_mask(read_content(real), real).values
    assert set(np.unique(labels)) == {0, 1}
    dataset = pydicom.dcmread(real)
    assert np.array_equal(labels, dataset.pixel_array)
    with refuses("LEX-DATA-962", "several"):
        decode_mask(read_content(shipped("liver.dcm")), shipped("liver.dcm"))
    negative = dicom_file(tmp_path / "b.dcm", np.array([[-1, 0]], np.int16))
    with refuses("LEX-DATA-963", "b.dcm"):
        decode_mask(read_content(negative), negative)


def test_a_folder_of_dicom_images_is_a_data_set(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(12):
        name = f"case{number}" + ("" if number % 2 else ".dcm")
        values = {} if number % 3 else {"PatientOrientation": None}
        dicom_file(tmp_path / "images" / name, ramp(8, 8), number=number, **values)
        mask = np.zeros((8, 8), np.uint8)
        mask[2:4, 2:4] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"case{number}.png")
    index = open_dataset(tmp_path)
    assert len(index.samples) == 12
    said = " ".join(index.assumptions)
    assert "states no window" in said
    assert "side of its words is unknown" in said
    sample = index.samples[0]
    assert sample.mask is not None
    assert read_mask(sample.mask, index.coding).sum() == 4
    assert read_image(sample.image).shape == (8, 8, 3)


def test_a_pair_is_in_the_usual_display(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 0] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    image = dicom_file(tmp_path / "a.dcm", ramp(), PatientOrientation=["R", "F"])
    sample = Sample(id="a", image=image, mask=tmp_path / "mask.png", split="train")
    coding, _ = infer_mask_coding([tmp_path / "mask.png"])
    pixels, labels = read_pair(sample, coding)
    assert labels.tolist() == [[0, 0, 0, 1]] * 4
    assert np.array_equal(pixels, read_image(image)[:, ::-1])
    # The stored grid stays what a single file returns.
    assert read_mask(tmp_path / "mask.png", coding)[:, 0].all()
    assert image_turn(image).flip_columns
    assert image_turn(tmp_path / "mask.png").is_none
