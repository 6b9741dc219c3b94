"""DICOM objects of a series: report, capture, presentation state; segmentations of several frames."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from torch import nn

from dicom_files import shipped
from lexiseg.clinic import series_report
from lexiseg.clinic.dataset import all_items
from lexiseg.clinic.laterality_guard import share_of_volume_on_left
from lexiseg.clinic.outlines import Outline, region_of
from lexiseg.clinic.result_content import VolumeContent
from lexiseg.clinic.volume_geometry import VolumeGrid
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.volumes import series_content
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.runs.run import Run
from volume_files import (
    ORIENTATIONS,
    WORDS,
    body,
    corners,
    ct_series,
    enhanced_ct,
    nifti,
    spoken,
    stored,
)

OBJECTS = ("seg", "sr", "sc", "gsps")


@pytest.fixture
def predictor(made: tuple[Run, nn.Module], monkeypatch: pytest.MonkeyPatch) -> Predictor:
    found = Predictor(made[0], PredictionOptions(batch_size=3))
    monkeypatch.setattr(found, "predict_decoded", spoken)
    return found


def larger_body() -> np.ndarray:
    """Return the body with the largest lesion in slice 7 of 8: 6 pixels, against 4 in slice 2."""
    values = body()
    values[11, 2:4, 6] = 200
    return values


def write(
    predictor: Predictor, path: Path, out: Path, *formats: str
) -> tuple[dict[str, Any], dict[str, Dataset]]:
    """Predict a volume; return its record and its DICOM objects by format."""
    targets = find_volumes([path]).targets
    predict_volumes_to_files(predictor, targets, out, formats=formats)
    (line,) = (out / "volumes.jsonl").read_text().splitlines()
    record = json.loads(line)
    files = {name: out / name / f"{record['name']}.dcm" for name in formats}
    return record, {name: pydicom.dcmread(file) for name, file in files.items() if file.is_file()}


def named(report: Dataset, meaning: str) -> list[Dataset]:
    """Return the content items of a name."""
    return [
        item
        for item in all_items(report)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeMeaning == meaning
    ]


def references(dataset: Dataset) -> list[Dataset]:
    """Return all items that refer to an instance."""
    return [item for item in all_items(dataset) if "ReferencedSOPInstanceUID" in item]


def number(item: Dataset) -> tuple[float, str]:
    (value,) = item.MeasuredValueSequence
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue


def test_the_report_of_a_series(tmp_path: Path, predictor: Predictor) -> None:
    ct_series(tmp_path / "ct", larger_body())
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", *OBJECTS)
    assert record["not_written"] == {}
    report = written["sr"]
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    # Ten voxels of 0.5 x 0.75 x 2 mm.
    assert [number(item) for item in named(report, "Volume")] == [(7.5, "mm3")]
    assert [number(item) for item in named(report, "Area")] == [(2.25, "mm2")]
    # Words in the patient's sides, which are those of the model mirrored.
    assert [item.TextValue for item in named(report, "Left lung")] == ["upper left lung"]
    assert [item.TextValue for item in named(report, "Right lung")] == ["no lesion in right lung"]
    (left,) = named(report, "Left lung")
    assert [number(item) for item in left.ContentSequence if item.ValueType == "NUM"] == [(75.0, "%")]
    assert named(report, "Whose left and right the words mean")[0].TextValue.endswith("the patient's.")
    # The words agree with what the labels measure, but for the number of lesions.
    assert [number(item)[0] for item in named(report, "Agreement of words and mask")] == [0.75]
    assert record["agreement"] == 0.75
    assert record["measured"]["right"] == "upper right lung"
    (flag,) = named(report, "Review by a person recommended")
    assert flag.ConceptCodeSequence[0].CodeMeaning == "Yes"
    (reason,) = named(report, "Reason for doubt")
    assert reason.TextValue.startswith("6 of 8 slices: ")
    assert "'upper left lung' retrieved, 'no lesion in left lung' measured" in reason.TextValue
    assert "'upper right lung' retrieved" in record["reasons"][0]
    (draft,) = named(report, "Draft of a report sentence")
    assert draft.TextValue.endswith("Not for diagnosis.")
    assert "upper left lung" in draft.TextValue
    assert "[multiple infected areas?]" in draft.TextValue
    # It refers to the segmentation, and to all slices.
    segmentation = written["seg"]
    referenced = {str(item.ReferencedSOPInstanceUID) for item in references(report)}
    assert referenced == {*(f"2.25.1000{k + 1}" for k in range(8)), str(segmentation.SOPInstanceUID)}
    (segment,) = named(report, "Referenced Segment")
    assert segment.ReferencedSOPSequence[0].ReferencedSegmentNumber == 1
    tracked = {item.UID for item in named(report, "Tracking Unique Identifier")[1:]}
    assert tracked == {segmentation.SegmentSequence[0].TrackingUID}
    assert {item.get("TrackingUID") for item in all_items(written["gsps"])} - {None} == tracked
    (slice_said,) = named(report, "Slice whose outlines are given")
    assert slice_said.TextValue == "Slice 7 of 8, with the largest area of lesions."


def test_without_a_segmentation_the_report_refers_to_the_slices(tmp_path: Path, predictor: Predictor) -> None:
    ct_series(tmp_path / "ct")
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", "sr")
    assert record["not_written"] == {}
    report = written["sr"]
    assert named(report, "Referenced Segment") == []
    assert [number(item) for item in named(report, "Volume")] == [(6.0, "mm3")]
    assert len(named(report, "Source of Measurement")) == 16
    before = (tmp_path / "out" / "sr" / "ct.dcm").read_bytes()
    write(predictor, tmp_path / "ct", tmp_path / "out", "sr")
    assert (tmp_path / "out" / "sr" / "ct.dcm").read_bytes() == before


def test_a_volume_without_lesions_has_a_report(tmp_path: Path, predictor: Predictor) -> None:
    ct_series(tmp_path / "ct", np.zeros((12, 10, 8), np.uint8))
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", *OBJECTS)
    assert record["not_written"] == {}
    report = written["sr"]
    assert named(report, "Volume") == []
    assert [item.TextValue for item in named(report, "Left lung")] == ["upper left lung"]
    # The middle slice stands for the volume.
    assert written["sc"].SourceImageSequence[0].ReferencedSOPInstanceUID == "2.25.10005"


@pytest.mark.parametrize(
    ("expected", "why"),
    [(0.91, "the calibration of the run is one of single images"), (None, "no slice has an expected Dice")],
)
def test_the_expected_dice_of_a_volume_is_unknown_with_its_reason(
    tmp_path: Path,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
    expected: float | None,
    why: str,
) -> None:
    def calibrated(images: Sequence[DecodedImage]) -> list[Prediction]:
        return [dataclasses.replace(found, expected_dice=expected) for found in spoken(images)]

    monkeypatch.setattr(predictor, "predict_decoded", calibrated)
    ct_series(tmp_path / "ct")
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", "sr", "card")
    assert record["expected_dice"] is None
    assert record["no_expected_dice"].startswith(why)
    assert [found["expected_dice"] for found in record["slices"]] == [expected] * 8
    assert named(written["sr"], "Expected Dice coefficient of the mask") == []
    (reason,) = named(written["sr"], "Reason why no Dice is expected")
    assert reason.TextValue == record["no_expected_dice"]
    page = (tmp_path / "out" / "cards" / "ct.html").read_text()
    assert f"The expected Dice of the whole volume is unknown: {record['no_expected_dice']}." in page


def test_a_volume_without_millimetres_says_why(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = series_content.series_content

    def unknown(*given: Any) -> VolumeContent:
        return dataclasses.replace(content(*given), volume_mm3=None, no_volume="the reason")

    monkeypatch.setattr(series_content, "series_content", unknown)
    ct_series(tmp_path / "ct")
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", "sr")
    assert record["not_written"] == {}
    assert [number(item) for item in named(written["sr"], "Volume")] == [(8.0, "{voxels}")]
    (reason,) = named(written["sr"], "Reason why no volume in mm3 is given")
    assert reason.TextValue == "the reason"


def test_several_classes_share_the_words_of_the_volume(
    tmp_path: Path, make_run: Callable[..., tuple[Run, nn.Module]], monkeypatch: pytest.MonkeyPatch
) -> None:
    several = Predictor(make_run(tmp_path / "run", classes=4)[0])

    def classes(images: Sequence[DecodedImage]) -> list[Prediction]:
        found = spoken(images)
        for prediction in found:
            # One half of each lesion, by columns, is of the third class.
            prediction.mask[:, 10:] *= 3
        return found

    monkeypatch.setattr(several, "predict_decoded", classes)
    ct_series(tmp_path / "ct")
    record, written = write(several, tmp_path / "ct", tmp_path / "out", "seg", "sr")
    assert record["not_written"] == {}
    assert record["volume_mm3"] == {"lesion": 3.0, "nodule": 0.0, "scar": 3.0}
    report = written["sr"]
    assert [number(item) for item in named(report, "Volume")] == [(3.0, "mm3")] * 2
    numbers = [
        item.ReferencedSOPSequence[0].ReferencedSegmentNumber for item in named(report, "Referenced Segment")
    ]
    assert numbers == [1, 3]
    (volume_group, *others) = named(report, "Measurement Group")
    assert named(volume_group, "Left lung")
    assert not any(named(group, "Left lung") for group in others)


def test_words_of_the_wrong_side_stop_all_objects(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = WORDS | {"left": "upper left lung", "right": "no lesion in right lung"}
    monkeypatch.setattr(predictor, "predict_decoded", lambda images: spoken(images, wrong))
    ct_series(tmp_path / "ct")
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", *OBJECTS, "labelmap", "nifti")
    assert written == {}
    assert sorted(record["not_written"]) == sorted([*OBJECTS, "labelmap"])
    assert all("LEX-DATA-972" in why and "patient's right" in why for why in record["not_written"].values())
    assert (tmp_path / "out" / "nifti" / "ct.nii.gz").is_file()


def test_the_side_of_a_volume_is_that_of_its_voxels() -> None:
    labels = np.zeros((4, 2, 2), np.uint8)
    labels[3], labels[0, 0, 0] = 1, 2
    grid = VolumeGrid(shape=(4, 2, 2), affine=np.diag([-2.0, 1, 1, 1]), is_placed=True, has_spacing=True)
    # i rises to the patient's left: four voxels on the left, one on the right.
    assert share_of_volume_on_left(labels, grid) == pytest.approx(0.8)
    mirrored = dataclasses.replace(grid, affine=np.diag([2.0, 1, 1, 1]))
    assert share_of_volume_on_left(labels, mirrored) == pytest.approx(0.2)
    # Left and right lie along k: one of the five voxels has k = 0 and j = 0, and four are evenly spread.
    along_k = dataclasses.replace(
        grid, affine=np.array([[0, 0, -1.0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    )
    assert share_of_volume_on_left(labels, along_k) == pytest.approx(0.4)
    across = dataclasses.replace(grid, affine=np.diag([0.0, 1, 1, 1]))
    assert share_of_volume_on_left(labels, across) == pytest.approx(0.5)
    assert share_of_volume_on_left(np.zeros((4, 2, 2), np.uint8), grid) is None


@pytest.mark.parametrize("field", ["volume_mm3", "shown"])
def test_a_report_that_differs_is_not_kept(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    ct_series(tmp_path / "ct")
    build = series_report.build_series_report

    def changed(slices: Any, sources: Any, name: Any, content: VolumeContent, segmentation: Any) -> Any:
        other: Any = {1: 7.0} if field == "volume_mm3" else 2
        return build(slices, sources, name, dataclasses.replace(content, **{field: other}), segmentation)

    monkeypatch.setattr(series_report, "build_series_report", changed)
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", "sr")
    assert written == {}
    assert "LEX-DATA-1429" in record["not_written"]["sr"]


def drawn(state: Dataset, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels inside the outlines of a presentation state."""
    mask = np.zeros(shape, np.bool_)
    for item in all_items(state):
        if item.get("GraphicType") == "POLYLINE":
            points = np.asarray(item.GraphicData, np.float64).reshape(-1, 2)
            mask |= region_of(Outline(points=points, area_px=0), shape)
    return mask


@pytest.mark.parametrize("cosines", [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0], [1, 0, 0, 0, -1, 0]])
def test_pictures_of_the_slice_with_the_largest_area(
    tmp_path: Path, predictor: Predictor, cosines: list[int]
) -> None:
    files = ct_series(tmp_path / "ct", larger_body(), ImageOrientationPatient=cosines)
    record, written = write(predictor, tmp_path / "ct", tmp_path / "out", "sc", "gsps", "seg")
    assert record["not_written"] == {}
    areas = [found["area_px"]["lesion"] for found in record["slices"]]
    shown = record["slices"][int(np.argmax(areas))]["file"]
    source = pydicom.dcmread(shown)
    capture = written["sc"]
    # The picture shows the slice with the largest area first, then the other one with a lesion.
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    with_lesion = {
        str(pydicom.dcmread(found["file"]).SOPInstanceUID)
        for found in record["slices"]
        if found["area_px"]["lesion"]
    }
    assert len(with_lesion) == len(capture.SourceImageSequence) == 2
    assert {str(image.ReferencedSOPInstanceUID) for image in capture.SourceImageSequence} == with_lesion
    # The picture is turned to the usual display, and says so.
    assert list(capture.PatientOrientation) == ["L", "P"]
    assert max(capture.Rows, capture.Columns) >= 512
    named_images = {str(item.ReferencedSOPInstanceUID) for item in references(written["gsps"])}
    assert named_images == {str(source.SOPInstanceUID)}
    # The outlines lie on the stored slice, where the segmentation has its frame.
    segmentation = written["seg"]
    position = list(source.ImagePositionPatient)
    (index,) = (
        index
        for index, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence)
        if list(group.PlanePositionSequence[0].ImagePositionPatient) == position
    )
    frame = segmentation.pixel_array.reshape(-1, 10, 12)[index]
    assert np.array_equal(drawn(written["gsps"], (10, 12)), frame > 0)
    assert len(files) == 8


def test_objects_of_slices_across_the_acquired_ones_show_an_acquired_slice(
    tmp_path: Path, predictor: Predictor
) -> None:
    ct_series(tmp_path / "ct", WindowCenter=None, WindowWidth=None)
    targets = find_volumes([tmp_path / "ct"]).targets
    out = tmp_path / "out"
    summary = predict_volumes_to_files(predictor, targets, out, formats=["sc", "gsps"], axis="coronal")
    assert summary.refused == ()
    capture = pydicom.dcmread(out / "sc" / "ct.dcm")
    # The head was marked, at the front and at the back: slice 7 is the only one with lesions.
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == "2.25.10007"
    assert list(capture.PatientOrientation) == ["L", "P"]


SHUFFLED = (5, 2, 7, 0, 1, 6, 3, 4)


@pytest.mark.parametrize("frames", [None, SHUFFLED])
def test_files_of_several_frames_get_all_objects(
    tmp_path: Path, predictor: Predictor, frames: tuple[int, ...] | None
) -> None:
    path = enhanced_ct(tmp_path / "a.dcm", frames)
    record, written = write(predictor, path, tmp_path / "out", *OBJECTS, "labelmap", "nifti")
    assert record["not_written"] == {}
    wanted = corners(left=True, front=True)
    order = list(frames or range(8))
    for name in ("seg", "labelmap"):
        dataset = written[name]
        highdicom.seg.Segmentation.from_dataset(dataset)
        found = np.zeros(wanted.shape, np.bool_)
        for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            k = round((group.PlanePositionSequence[0].ImagePositionPatient[2] + 100) / 2)
            found[:, :, k] = dataset.pixel_array[index].T > 0
            (image,) = group.DerivationImageSequence[0].SourceImageSequence
            assert image.ReferencedSOPInstanceUID == "2.25.10001"
            assert image.ReferencedFrameNumber == order.index(k) + 1
        assert np.array_equal(found, wanted)
        assert dataset.FrameOfReferenceUID == "2.25.77"
    assert [number(item) for item in named(written["sr"], "Volume")] == [(6.0, "mm3")]
    # Slices 2 and 7 are equal, so the first one is shown; it is the frame that holds it.
    shown = order.index(1) + 1
    pictured = [image.ReferencedFrameNumber for image in written["sc"].SourceImageSequence]
    assert pictured == [shown, order.index(6) + 1]
    for name in ("sr", "gsps"):
        numbers = {item.get("ReferencedFrameNumber") for item in all_items(written[name])} - {None}
        assert numbers == {shown}
        classes = {item.ReferencedSOPClassUID for item in references(written[name])}
        assert "1.2.840.10008.5.1.4.1.1.2.1" in classes
        assert "1.2.840.10008.5.1.4.1.1.2" not in classes
    assert (written["gsps"].RescaleType, written["gsps"].RescaleSlope) == ("HU", 1)


def test_the_segmentation_of_a_real_file_of_several_frames(tmp_path: Path, predictor: Predictor) -> None:
    record, written = write(predictor, shipped("eCT_Supplemental.dcm"), tmp_path / "out", "seg")
    assert record["not_written"] == {}
    assert written["seg"].pixel_array.shape[-2:] == (512, 512)


def test_frames_of_other_kinds_are_refused(tmp_path: Path, predictor: Predictor) -> None:
    path = enhanced_ct(tmp_path / "a.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    record, written = write(predictor, path, tmp_path / "out", *OBJECTS, "nifti")
    assert written == {}
    assert sorted(record["not_written"]) == sorted(OBJECTS)
    assert all("LEX-DATA-1428" in why and "(format nifti)" in why for why in record["not_written"].values())
    assert record["mask"] == "nifti/a.nii.gz"


def test_volume_files_get_no_dicom_objects(tmp_path: Path, predictor: Predictor) -> None:
    values, affine = stored(body(), *ORIENTATIONS[0])
    path = nifti(tmp_path / "a.nii.gz", values, affine)
    record, written = write(predictor, path, tmp_path / "out", *OBJECTS)
    assert written == {}
    assert sorted(record["not_written"]) == sorted(OBJECTS)
    assert all("LEX-DATA-1206" in why for why in record["not_written"].values())
