"""DICOM segmentations as masks: the stored segment numbers are the labels, whatever their colours."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_files import dicom_file
from lexiseg.clinic.coded_concepts import ABNORMAL_STRUCTURE
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.decode import decode_mask
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.readers import read_labels
from refusals import refuses

ROWS, COLUMNS = 6, 8
TYPE = ABNORMAL_STRUCTURE


def picture(path: Path, number: int, **values: object) -> Path:
    """Write one image; all are of one series."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 900, (ROWS, COLUMNS), dtype=np.uint16)
    plane = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 2.0 * number],
        "PixelSpacing": [1, 1],
        "FrameOfReferenceUID": "2.25.9",
        "PatientID": f"p{number}",
        "SliceThickness": 2,
    }
    return dicom_file(path, pixels, modality="CT", number=number, **{**plane, **values})


def segmentation(
    path: Path,
    images: list[Path],
    labels: np.ndarray,
    segments: list[tuple[str, CodedConcept]],
    *,
    palette: tuple[tuple[int, int, int], ...] | None = None,
) -> Path:
    """Write a label map of images, with a palette where colours are given, the background first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = None
    if palette is not None:
        channels = [
            highdicom.PaletteColorLUT(0, np.array(values, np.uint8), colour)
            for colour, values in zip(("red", "green", "blue"), zip(*palette, strict=True), strict=True)
        ]
        colours = highdicom.PaletteColorLUTTransformation(channels[0], channels[1], channels[2], "2.25.77")
    Segmentation(
        source_images=[dcmread(image) for image in images],
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.LABELMAP,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=ABNORMAL_STRUCTURE,
                segmented_property_type=kind,
                algorithm_type="MANUAL",
            )
            for number, (label, kind) in enumerate(segments, 1)
        ],
        series_instance_uid="2.25.70",
        series_number=70,
        sop_instance_uid="2.25.71",
        instance_number=1,
        manufacturer="Lexiseg tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        palette_color_lut_transformation=colours,
    ).save_as(path)
    return path


def two_labels() -> np.ndarray:
    """Return labels with 1 on the left and 2 on the right."""
    labels = np.zeros((ROWS, COLUMNS), np.uint8)
    labels[1:4, 0:3], labels[2:5, 5:8] = 1, 2
    return labels


#: Red is a larger number than blue, so colours sort the other way than segment numbers.
RED_AND_BLUE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))


def test_a_palette_only_gives_segments_colours(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        image = picture(tmp_path / "images" / f"a{number}.dcm", number)
        mask = tmp_path / "masks" / f"a{number}.dcm"
        segmentation(mask, [image], two_labels(), [("one", TYPE), ("two", TYPE)], palette=RED_AND_BLUE)
    assert dcmread(mask).PhotometricInterpretation == "PALETTE COLOR"
    index = open_dataset(tmp_path)
    assert (index.coding.kind, index.coding.values) == ("values", (0, 1, 2))
    for sample in index.samples:
        np.testing.assert_array_equal(read_labels(sample, index.coding), two_labels())


def test_a_palette_of_a_segmented_series(tmp_path: Path) -> None:
    images = [picture(tmp_path / "images" / f"s{number}.dcm", number) for number in (1, 2, 3)]
    frames = np.stack([np.roll(two_labels(), number, axis=0) for number in range(3)])
    mask = tmp_path / "masks" / "seg.dcm"
    segmentation(mask, images, frames, [("one", TYPE), ("two", TYPE)], palette=RED_AND_BLUE)
    index = open_dataset(tmp_path)
    for sample in index.samples:
        expected = frames[int(sample.id[1:]) - 1]
        np.testing.assert_array_equal(read_labels(sample, index.coding), expected)
    assert not check_dataset(tmp_path).has_errors


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
def test_frames_in_colours_are_refused(tmp_path: Path, kind: str) -> None:
    mask = dicom_file(
        tmp_path / "a.dcm",
        np.zeros((ROWS, COLUMNS, 3), np.uint8),
        photometric="RGB",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7",
        SegmentationType=kind,
        PerFrameFunctionalGroupsSequence=[_group()],
    )
    with refuses("LEX-DATA-1890", "a.dcm", "three colours"):
        decode_mask(mask.read_bytes(), mask)


def _group() -> Dataset:
    item, group = Dataset(), Dataset()
    item.ReferencedSegmentNumber = 1
    group.SegmentIdentificationSequence = [item]
    return group


LIVER, KIDNEY = CodedConcept("10200004", "SCT", "Liver"), CodedConcept("64033007", "SCT", "Kidney")
#: The liver by its older code.
OLD_LIVER = CodedConcept("T-62000", "SRT", "Liver")


def one_segment(root: Path, segments: list[tuple[str, CodedConcept]]) -> None:
    """Write one image and its segmentation, with one segment, per pair of label and type."""
    for number, segment in enumerate(segments, 1):
        image = picture(root / "images" / f"a{number}.dcm", number)
        segmentation(root / "masks" / f"a{number}.dcm", [image], two_labels() // 2, [segment])


TISSUE, NODULE = CodedConcept("85756007", "SCT", "Tissue"), CodedConcept("27925004", "SCT", "Nodule")
#: A type of another coding scheme, of which nothing is known.
PRIVATE = CodedConcept("7", "99LOCAL", "Structure")


def without_types(root: Path) -> None:
    for file in (root / "masks").iterdir():
        dataset = dcmread(file)
        for segment in dataset.SegmentSequence:
            del segment.SegmentedPropertyTypeCodeSequence
        dataset.save_as(file)


@pytest.mark.parametrize(
    "labels", [("Liver", "Liver", "Spleen"), ("Segment - Liver", "Segment - Liver", "Segment - Spleen")]
)
@pytest.mark.parametrize("old", [False, True])
def test_labels_count_where_the_type_names_no_structure(
    tmp_path: Path, labels: tuple[str, str, str], old: bool
) -> None:
    generic = CodedConcept("T-D0005", "SRT", "Anatomical structure") if old else TISSUE
    one_segment(tmp_path, [(label, generic) for label in labels])
    with refuses("LEX-DATA-1892", "Liver", "Spleen", "classes:"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("second", [("kidney", KIDNEY), ("liver", KIDNEY)])
def test_a_number_with_another_meaning_is_refused(tmp_path: Path, second: tuple[str, CodedConcept]) -> None:
    one_segment(tmp_path, [("liver", LIVER), ("liver", LIVER), second])
    with refuses("LEX-DATA-1892", "Segment 1 is 'liver' (Liver)", "masks/a1.dcm", "masks/a3.dcm", "classes:"):
        open_dataset(tmp_path)
    assert "Segment 1" in repr(check_dataset(tmp_path).findings)


@pytest.mark.parametrize(
    "labels",
    [
        ("Liver", "Segment_1", "hepar"),
        ("Nodule 1 - Annotation IL057_127364", "Nodule 1 - Annotation MI014_12127", "Nodule 2"),
        ("JD", "MK", "tumour"),
    ],
)
def test_labels_of_one_type_are_free_text(tmp_path: Path, labels: tuple[str, str, str]) -> None:
    one_segment(tmp_path, list(zip(labels, (LIVER, LIVER, OLD_LIVER), strict=True)))
    assert open_dataset(tmp_path).num_classes == 2


def test_stated_classes_say_what_types_mean(tmp_path: Path) -> None:
    one_segment(tmp_path, [("Segment_1", TISSUE), ("nodule", NODULE), ("lesion", TISSUE)])
    with refuses("LEX-DATA-1892", "(Tissue)", "(Nodule)", "dataset.yaml"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.yaml").write_text("classes: {0: background, 1: lesion}\n")
    index = open_dataset(tmp_path)
    assert index.class_names == ("background", "lesion")
    assert any("(Nodule)" in note and "as dataset.yaml states" in note for note in index.assumptions)


@pytest.mark.parametrize(
    "labels",
    [
        ("Lung", "lungs 2", "LUNG"),
        ("Nodule 1 - Annotation IL057_127364", "nodules - MI014", "Nodule 2"),
        ("mass", "Masses", "seg mass"),
        ("metastasis", "metastases", "Metastasis 3"),
        ("tumor", "tumour", "liver tumour"),
    ],
)
def test_labels_without_types_that_name_the_same(tmp_path: Path, labels: tuple[str, str, str]) -> None:
    one_segment(tmp_path, [(label, TYPE) for label in labels])
    without_types(tmp_path)
    assert open_dataset(tmp_path).num_classes == 2


@pytest.mark.parametrize("kind", [TYPE, PRIVATE])
def test_labels_count_where_types_do_not_tell(tmp_path: Path, kind: CodedConcept) -> None:
    one_segment(tmp_path, [("liver", LIVER if kind == PRIVATE else TYPE), ("kidney", kind), ("x", kind)])
    if kind == TYPE:
        without_types(tmp_path)
    with refuses("LEX-DATA-1892", "'liver'", "'kidney'"):
        open_dataset(tmp_path)
