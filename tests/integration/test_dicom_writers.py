"""DICOM objects: written, read back, and compared with the prediction; the laterality guard."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from torch import nn

from dicom_files import dicom_dataset, dicom_file, ramp, shipped
from lexiseg.clinic import laterality_guard, verification
from lexiseg.clinic.dataset import all_items, read_image_dataset
from lexiseg.clinic.orientation import Directions
from lexiseg.clinic.segmentation_object import build_segmentation
from lexiseg.clinic.verification import verify_report, verify_segmentation
from lexiseg.clinic.view import AS_STORED, View, Window
from lexiseg.data.readers import read_image_with_facts
from lexiseg.extras import install_hint
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.formats.earlier_outputs import earlier_outputs
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.review import disagreement
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.writers import loading
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.dicom_content import result_content
from lexiseg.inference.writers.loading import make_writers
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.runs.run import Run
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

ROWS, COLUMNS = 40, 60
CHEST = load_vocabulary("chest")
#: One region in the left half of the image, which is the patient's right side in the usual display.
IMAGE_LEFT_WORDS = {
    "laterality": "unilateral pulmonary infection",
    "count": "one infected area",
    "left": "lower left lung",
    "right": "no lesion in right lung",
}
HAS_VALIDATOR = shutil.which("dciodvfy") is not None


@pytest.fixture(scope="module")
def predictor(made: tuple[Run, nn.Module]) -> Predictor:
    return Predictor(made[0])


def words_of(phrases: dict[str, str]) -> tuple[RetrievedWord, ...]:
    return tuple(
        RetrievedWord(
            factor=factor.name,
            title=factor.title,
            index=factor.phrases.index(phrases[factor.name]),
            phrase=phrases[factor.name],
            confidence=0.75,
            runners_up=(),
            probabilities=(),
        )
        for factor in CHEST.factors
    )


def left_mask() -> npt.NDArray[np.uint8]:
    """Return a mask in the left half of the usual display, with a hole and a second region."""
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[20:30, 5:15] = 1
    mask[24, 8] = 0
    mask[33:35, 20:22] = 1
    return mask


def predicted(
    predictor: Predictor,
    path: Path,
    *,
    displayed: npt.NDArray[np.uint8] | None = None,
    words: dict[str, str] | None = None,
    view: View = AS_STORED,
) -> PredictedImage:
    """Return a prediction of a file with a given mask, as seen in the usual display, and given words."""
    facts = read_image_with_facts(path, view).facts
    assert facts is not None
    shown = left_mask() if displayed is None else displayed
    area, body_mm = int((shown > 0).sum()), facts.spacing.body_mm
    prediction = Prediction(
        mask=facts.turn.undo(shown),
        probability=facts.turn.undo_maps(shown[None].astype(np.float32)),
        words=words_of(IMAGE_LEFT_WORDS if words is None else words) if words != {} else (),
        measured=None if words == {} else measure(shown, CHEST, side="image"),
        side="image",
        agreement=0.75,
        flagged=True,
        area_px={"lesion": area},
        area_mm2=None if body_mm is None else {"lesion": area * body_mm[0] * body_mm[1]},
        reasons=("low confidence",),
        expected_dice=0.61,
        facts=facts,
    )
    return PredictedImage(target=Target(image=path, name=Path(path.stem)), prediction=prediction, view=view)


def write(image: PredictedImage, predictor: Predictor, out: Path, *formats: str) -> dict[str, Dataset]:
    """Write formats and return what was written, by format."""
    written = {}
    with owned_folder(out, earlier=earlier_outputs) as folder:
        batch = Batch(folder=folder, predictor=predictor, formats=formats)
        for writer in make_writers(formats):
            writer.write(image, batch)
            file = out / writer.name / f"{image.target.name}.dcm"
            if file.is_file():
                written[writer.name] = pydicom.dcmread(file)
    return written


def named(report: Dataset, meaning: str) -> list[Dataset]:
    """Return the content items of a name."""
    return [
        item
        for item in all_items(report)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeMeaning == meaning
    ]


def referenced(dataset: Dataset) -> set[str]:
    """Return the UIDs of all instances that an object refers to."""
    items = all_items(dataset)
    return {str(item.ReferencedSOPInstanceUID) for item in items if "ReferencedSOPInstanceUID" in item}


def radiograph(path: Path, **values: Any) -> Path:
    return dicom_file(path, ramp(ROWS, COLUMNS, step=3), **values)


@pytest.mark.parametrize("letters", ["LF", "RF", "LH", "FL", "FR", "HL"])
def test_a_segmentation_lies_on_the_stored_grid(tmp_path: Path, predictor: Predictor, letters: str) -> None:
    pixels = ramp(ROWS, COLUMNS, step=3)
    if letters[0] in "FH":
        pixels = np.ascontiguousarray(pixels.T)
    path = dicom_file(tmp_path / "a.dcm", pixels, PatientOrientation=list(letters))
    image = predicted(predictor, path)
    written = write(image, predictor, tmp_path / "out", "seg")
    assert image.refused == {}
    seg = written["seg"]
    assert (seg.Rows, seg.Columns) == pixels.shape
    assert np.array_equal(seg.pixel_array, image.prediction.mask)
    assert list(seg.PatientOrientation) == list(letters)
    assert (seg.Modality, seg.SegmentationType, seg.StudyInstanceUID) == ("SEG", "BINARY", "2.25.1")
    named_uids = {
        str(item.ReferencedSOPInstanceUID) for item in all_items(seg) if "ReferencedSOPInstanceUID" in item
    }
    assert named_uids == {"2.25.10001"}


def test_segments_are_named_and_coded(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm"))
    seg = write(image, predictor, tmp_path / "out", "seg")["seg"]
    (segment,) = seg.SegmentSequence
    assert segment.SegmentLabel == "lesion"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    # Not the "Spleen" that examples of other tools leave in.
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Opacity"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "112001"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    weights = hashlib.sha256(predictor.run.weights_file.read_bytes()).hexdigest()
    assert weights in algorithm.AlgorithmParameters
    # A viewer finds the source by its series.
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.2"
    assert seg.SeriesNumber == 101
    assert "Not for diagnosis" in seg.ContentDescription
    assert seg.ContentQualification == "RESEARCH"


def test_several_classes_are_several_segments(
    tmp_path: Path, make_run: Callable[..., tuple[Run, nn.Module]]
) -> None:
    run, _ = make_run(tmp_path / "run", classes=4)
    predictor = Predictor(run)
    image = predicted(predictor, radiograph(tmp_path / "a.dcm"))
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[2:5, 2:5], mask[10:20, 10:12] = 1, 3
    prediction = dataclasses.replace(
        image.prediction, mask=mask, area_px={"lesion": 9, "nodule": 0, "scar": 20}
    )
    image = dataclasses.replace(image, prediction=prediction, refused={})
    written = write(image, predictor, tmp_path / "out", "seg", "labelmap", "sr")
    assert image.refused == {}
    assert [segment.SegmentLabel for segment in written["seg"].SegmentSequence] == [
        "lesion",
        "nodule",
        "scar",
    ]
    frames = written["seg"].pixel_array
    assert [np.array_equal(frames[i], mask == i + 1) for i in range(3)] == [True] * 3
    assert np.array_equal(written["labelmap"].pixel_array, mask)
    assert written["labelmap"].SegmentationType == "LABELMAP"
    # An empty class has no outline; the others have one group of the segment and one per region.
    assert len(named(written["sr"], "Measurement Group")) == 1 + 2 * 2


def test_an_empty_mask_is_an_empty_frame(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm")
    none = {**IMAGE_LEFT_WORDS, "left": "no lesion in left lung"}
    image = predicted(predictor, path, displayed=np.zeros((ROWS, COLUMNS), np.uint8), words=none)
    written = write(image, predictor, tmp_path / "out", "seg", "labelmap", "sr", "sc")
    assert image.refused == {}
    assert written["seg"].pixel_array.shape == (ROWS, COLUMNS)
    assert not written["seg"].pixel_array.any()
    assert not written["labelmap"].pixel_array.any()
    assert len(named(written["sr"], "Measurement Group")) == 1
    (count,) = named(written["sr"], "Number of lesions")
    assert float(count.MeasuredValueSequence[0].NumericValue) == 0


def test_the_report_holds_words_in_patient_coordinates(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm"))
    written = write(image, predictor, tmp_path / "out", "sr", "seg")
    report = written["sr"]
    assert image.refused == {}
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    # The left of the image is the patient's right.
    (right,) = named(report, "Right lung")
    assert (right.ValueType, right.TextValue) == ("TEXT", "lower right lung")
    properties = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in right.ContentSequence}
    assert float(properties["Certainty of Finding"].MeasuredValueSequence[0].NumericValue) == 75
    assert properties["Laterality"].ConceptCodeSequence[0].CodeMeaning == "Right"
    (left,) = named(report, "Left lung")
    assert left.TextValue == "no lesion in left lung"
    assert len(left.ContentSequence) == 1
    coded = [item for item in named(report, "Laterality") if item.RelationshipType == "CONTAINS"]
    assert coded[0].ConceptCodeSequence[0].CodeValue == "66459002"
    assert "patient's" in named(report, "Whose left and right the words mean")[0].TextValue


def test_the_report_holds_the_flag_its_reasons_and_the_numbers(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm", ImagerPixelSpacing=[0.1, 0.1]))
    report = write(image, predictor, tmp_path / "out", "sr")["sr"]
    (flag,) = named(report, "Review by a person recommended")
    assert flag.ConceptCodeSequence[0].CodeMeaning == "Yes"
    assert [item.TextValue for item in named(report, "Reason for doubt")] == ["low confidence"]
    numbers = {
        name: float(named(report, name)[0].MeasuredValueSequence[0].NumericValue)
        for name in (
            "Agreement of words and mask",
            "Expected Dice coefficient of the mask",
            "Number of lesions",
        )
    }
    assert list(numbers.values()) == [0.75, 0.61, 2]
    assert "Not for diagnosis" in named(report, "Comment")[0].TextValue
    # A radiograph that is not calibrated gives pixels, and says why.
    areas = [item.MeasuredValueSequence[0] for item in named(report, "Area")]
    assert {area.MeasurementUnitsCodeSequence[0].CodeValue for area in areas} == {"{pixels}"}
    assert sorted(float(area.NumericValue) for area in areas) == [4, 99]
    assert "not calibrated" in named(report, "Reason why no area in mm2 is given")[0].TextValue
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_areas_are_in_mm2_where_the_file_allows_them(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(
        tmp_path / "a.dcm",
        modality="DX",
        ImagerPixelSpacing=[0.4, 0.5],
        PixelSpacing=[0.2, 0.5],
        PixelSpacingCalibrationType="FIDUCIAL",
    )
    image = predicted(predictor, path)
    report = write(image, predictor, tmp_path / "out", "sr", "seg")["sr"]
    assert image.refused == {}
    areas = [item.MeasuredValueSequence[0] for item in named(report, "Area")]
    assert {area.MeasurementUnitsCodeSequence[0].CodeValue for area in areas} == {"mm2"}
    # 0.1 mm2 per pixel: the regions without their hole, and the segment.
    assert sorted(float(area.NumericValue) for area in areas) == pytest.approx([0.4, 9.9, 10.3])


def test_the_report_refers_to_the_segmentation_only_if_one_is_written(
    tmp_path: Path, predictor: Predictor
) -> None:
    path = radiograph(tmp_path / "a.dcm")
    for number, formats in enumerate((("sr",), ("sr", "seg"), ("seg", "sr"), ("labelmap", "sr"))):
        image = predicted(predictor, path)
        written = write(image, predictor, tmp_path / str(number), *formats)
        assert image.refused == {}
        uids = referenced(written["sr"])
        segmentation = written.get("seg", written.get("labelmap"))
        assert uids == {"2.25.10001"} | ({segmentation.SOPInstanceUID} if segmentation is not None else set())
    (found, *_) = named(written["sr"], "Tracking Unique Identifier")
    assert str(found.UID).startswith("2.25.")
    seg = write(predicted(predictor, path), predictor, tmp_path / "x", "seg")["seg"]
    tracked = {str(item.UID) for item in named(written["sr"], "Tracking Unique Identifier")}
    assert str(seg.SegmentSequence[0].TrackingUID) in tracked


def test_outlines_are_the_regions_pixel_by_pixel(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm"))
    report = write(image, predictor, tmp_path / "out", "sr")["sr"]
    polygons = [item for item in all_items(report) if item.get("GraphicType") == "POLYLINE"]
    assert len(polygons) == 2
    points = np.array(polygons[0].GraphicData).reshape(-1, 2)
    assert np.array_equal(points[0], points[-1])
    # The region spans columns 5 to 14 and rows 20 to 29; half a pixel more on each side lies outside of it.
    assert points.min(axis=0).tolist() == [5.0, 20.0]
    assert points.max(axis=0).tolist() == [15.0, 30.0]


def test_unknown_orientation_keeps_the_words_of_the_image(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm", PatientOrientation=None))
    written = write(image, predictor, tmp_path / "out", "seg", "sr", "sc")
    assert image.refused == {}
    assert named(written["sr"], "Left lung")[0].TextValue == "lower left lung"
    assert not [
        item for item in named(written["sr"], "Laterality") if item.RelationshipType == "HAS PROPERTIES"
    ]
    assert "not known" in named(written["sr"], "Whose left and right the words mean")[0].TextValue
    assert written["seg"]["PatientOrientation"].is_empty
    assert written["sc"]["PatientOrientation"].is_empty


def test_words_of_a_patient_side_model_are_converted_where_the_orientation_is_unknown(
    tmp_path: Path, make_run: Callable[..., tuple[Run, nn.Module]]
) -> None:
    predictor = Predictor(make_run(tmp_path / "run", side="patient")[0])
    known = predicted(predictor, radiograph(tmp_path / "a.dcm"), displayed=left_mask()[:, ::-1])
    report = write(known, predictor, tmp_path / "out", "sr")["sr"]
    # It says the patient's left, and the mask lies there.
    assert named(report, "Left lung")[0].TextValue == "lower left lung"
    unknown = predicted(predictor, radiograph(tmp_path / "b.dcm", number=2, PatientOrientation=None))
    report = write(unknown, predictor, tmp_path / "out", "sr")["sr"]
    # What it calls left lies on the right of a usual image.
    assert named(report, "Right lung")[0].TextValue == "lower right lung"
    assert named(report, "Left lung")[0].TextValue == "no lesion in left lung"


def test_reasons_name_the_sides_of_the_report(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm")
    image = predicted(predictor, path, words={**IMAGE_LEFT_WORDS, "left": "upper left lung"})
    prediction = image.prediction
    assert prediction.measured is not None
    stated = disagreement(prediction.words, prediction.measured, CHEST, lesion=True)
    assert stated is not None
    assert "Left lung: 'upper left lung' retrieved, " in stated
    prediction = dataclasses.replace(prediction, reasons=(stated, "low confidence"))
    image = dataclasses.replace(image, prediction=prediction, refused={})
    report = write(image, predictor, tmp_path / "out", "sr")["sr"]
    reasons = [item.TextValue for item in named(report, "Reason for doubt")]
    assert "Right lung: 'upper right lung' retrieved, " in reasons[0]
    assert "left" not in reasons[0].lower()
    assert reasons[1] == "low confidence"


def test_the_guard_stops_words_of_the_other_side(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm")
    wrong = {**IMAGE_LEFT_WORDS, "left": "no lesion in left lung", "right": "lower right lung"}
    image = predicted(predictor, path, words=wrong)
    assert write(image, predictor, tmp_path / "out", "seg", "sr") == {}
    assert set(image.refused) == {"seg", "sr"}
    assert "LEX-DATA-972" in str(image.refused["sr"])
    assert "patient's left side ('lower left lung')" in str(image.refused["sr"])
    assert path.is_file()
    assert not list((tmp_path / "out").rglob("*.dcm"))
    # The same words and mask, stored mirrored: the guard looks at the stored grid and finds the same.
    mirrored = radiograph(tmp_path / "b.dcm", PatientOrientation=["R", "F"], number=2)
    assert write(predicted(predictor, mirrored, words=wrong), predictor, tmp_path / "out", "seg") == {}
    right = predicted(predictor, mirrored)
    assert set(write(right, predictor, tmp_path / "out", "seg", "sr")) == {"seg", "sr"}
    # Words of both sides contradict no side.
    both = predicted(predictor, path, words={**wrong, "left": "upper left lung"})
    assert "sr" in write(both, predictor, tmp_path / "out2", "sr")


def test_the_guard_sees_a_mask_that_was_not_turned_back(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm", PatientOrientation=["R", "F"])
    image = predicted(predictor, path)
    forgotten = dataclasses.replace(image.prediction, mask=left_mask())
    image = dataclasses.replace(image, prediction=forgotten, refused={})
    assert write(image, predictor, tmp_path / "out", "seg", "sr") == {}
    assert "LEX-DATA-972" in str(image.refused["seg"])


def test_a_written_object_that_differs_is_not_kept(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = radiograph(tmp_path / "a.dcm")
    image = predicted(predictor, path)
    content = result_content(image.prediction, image.prediction.facts, predictor)  # type: ignore[arg-type]
    source = read_image_dataset(path.read_bytes(), path)
    seg = build_segmentation(source, path, content)
    file = tmp_path / "seg.dcm"
    seg.save_as(file)
    verify_segmentation(file, source, content)
    moved = pydicom.dcmread(file)
    moved.PixelData = moved.PixelData[1:] + b"\0"
    moved.save_as(file)
    with refuses("LEX-DATA-977", "pixels"):
        verify_segmentation(file, source, content)
    turned = pydicom.dcmread(file)
    turned.PixelData, turned.PatientOrientation = seg.PixelData, ["R", "F"]
    turned.save_as(file)
    with refuses("LEX-DATA-974", "another side"):
        verify_segmentation(file, source, content)
    turned.PatientOrientation = ""
    turned.save_as(file)
    with refuses("LEX-DATA-973", "does not say"):
        verify_segmentation(file, source, content)
    other = dicom_dataset(ramp(), number=9)
    with refuses("LEX-DATA-982", "source"):
        verification._check_source(turned, other)
    report_image = predicted(predictor, path)
    report_file = tmp_path / "out" / "sr" / "a.dcm"
    write(report_image, predictor, tmp_path / "out", "sr")
    verify_report(report_file, source, content, None)
    with refuses("LEX-DATA-979", "segmentation"):
        verify_report(report_file, source, content, seg)
    report = pydicom.dcmread(report_file)
    polygon = next(item for item in all_items(report) if item.get("GraphicType") == "POLYLINE")
    polygon.GraphicData = [value + 2 for value in polygon.GraphicData]
    report.save_as(report_file)
    with refuses("LEX-DATA-978", "outlines"):
        verify_report(report_file, source, content, None)


class _Tomorrow(datetime.datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return datetime.datetime(2027, 3, 4, 5, 6, 7)


def test_repeating_writes_the_same_bytes(
    tmp_path: Path, predictor: Predictor, made: tuple[Run, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = radiograph(tmp_path / "a.dcm")
    digests = []
    for number in range(2):
        out = tmp_path / str(number)
        write(predicted(predictor, path), predictor, out, "seg", "labelmap", "sr", "sc")
        digests.append({file.relative_to(out): file.read_bytes() for file in out.rglob("*.dcm")})
        monkeypatch.setattr(highdicom.base.datetime, "datetime", _Tomorrow)
    assert len(digests[0]) == 4
    for name, content in digests[0].items():
        assert content == digests[1][name], name
    # Another view, frame or run is another object.
    first = pydicom.dcmread(tmp_path / "0" / "seg" / "a.dcm")
    chosen = View(window=Window(center=9, width=9))
    other = Predictor(made[0], PredictionOptions(view=chosen))
    second = write(predicted(other, path, view=chosen), other, tmp_path / "3", "seg")["seg"]
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    copy = radiograph(tmp_path / "b.dcm", number=2)
    third = write(predicted(predictor, copy), predictor, tmp_path / "4", "seg")["seg"]
    assert first.SOPInstanceUID != third.SOPInstanceUID
    assert first.SeriesInstanceUID == third.SeriesInstanceUID


def test_dates_are_those_of_the_source_without_an_invented_zone(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm")
    written = write(predicted(predictor, path), predictor, tmp_path / "out", "seg", "sr", "sc")
    for dataset in written.values():
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260102", "030406")
        assert "TimezoneOffsetFromUTC" not in dataset
    zoned = radiograph(
        tmp_path / "b.dcm", number=2, TimezoneOffsetFromUTC="+0900", ContentDate=None, StudyDate=""
    )
    found = write(predicted(predictor, zoned), predictor, tmp_path / "out", "seg")["seg"]
    assert found.TimezoneOffsetFromUTC == "+0900"
    # No date in the source: that of the run.
    assert found.ContentDate == "20261122"


def test_the_capture_shows_the_outline_on_the_stored_grid(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm", PatientOrientation=["R", "F"])
    image = predicted(predictor, path)
    capture = write(image, predictor, tmp_path / "out", "sc")["sc"]
    assert image.refused == {}
    assert capture.pixel_array.shape == (ROWS, COLUMNS, 3)
    assert list(capture.PatientOrientation) == ["R", "F"]
    orange = (capture.pixel_array[..., 0].astype(int) - capture.pixel_array[..., 2]) > 100
    assert orange[:, 30:].sum() > 3 * orange[:, :30].sum()
    assert "Not for diagnosis" in capture.DerivationDescription


@pytest.mark.skipif(not HAS_VALIDATOR, reason="needs dciodvfy (Debian package dicom3tools)")
@pytest.mark.parametrize("modality", ["CR", "DX", "US", "OT", "ES"])
def test_the_validator_finds_no_error(tmp_path: Path, predictor: Predictor, modality: str) -> None:
    pixels = np.repeat(ramp(ROWS, COLUMNS, np.uint8, 1)[..., None], 3, axis=2)
    colour = modality in ("ES", "US")
    path = dicom_file(
        tmp_path / "a.dcm",
        pixels if colour else ramp(ROWS, COLUMNS, step=3),
        modality=modality,
        photometric="RGB" if colour else "MONOCHROME2",
        PatientOrientation=None if colour else ["L", "F"],
    )
    image = predicted(predictor, path)
    written = write(image, predictor, tmp_path / "out", "seg", "sr", "sc")
    assert image.refused == {}
    for name in written:
        file = tmp_path / "out" / name / "a.dcm"
        ran = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert [line for line in ran.stderr.splitlines() if line.startswith("Error")] == [], name


@pytest.mark.skipif(not HAS_VALIDATOR, reason="needs dciodvfy (Debian package dicom3tools)")
def test_what_the_validator_refuses_is_not_kept(tmp_path: Path) -> None:
    dataset = dicom_dataset(ramp())
    del dataset.StudyInstanceUID
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with refuses("LEX-DATA-981", "dciodvfy"):
        verification.validate(tmp_path / "a.dcm", dataset)


def test_a_validator_that_does_not_finish_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("dciodvfy", 60)

    monkeypatch.setattr(verification.shutil, "which", lambda name: name)
    monkeypatch.setattr(verification.subprocess, "run", never)
    with refuses("LEX-DATA-985", "dciodvfy"):
        verification.validate(tmp_path / "a.dcm", dicom_dataset(ramp()))


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("RG3_UNCR.dcm", None),
        ("dicomdirtests/77654033/CR1/6154", None),
        ("CT_small.dcm", None),
        ("MR_small.dcm", None),
        ("OBXXXX1A.dcm", None),
        ("examples_ybr_color.dcm", 3),
        ("eCT_Supplemental.dcm", 2),
        ("vlut_04.dcm", None),
    ],
)
def test_objects_of_real_files_hold_their_masks(
    tmp_path: Path, predictor: Predictor, name: str, frame: int | None
) -> None:
    view = View(frame=frame)
    decoded = read_image_with_facts(shipped(name), view)
    shown = np.zeros(decoded.displayed.shape[:2], np.uint8)
    shown[2:9, 3:5] = 1
    image = predicted(predictor, shipped(name), displayed=shown, words={}, view=view)
    written = write(image, predictor, tmp_path, "seg", "sr", "sc")
    assert image.refused == {}
    assert np.array_equal(written["seg"].pixel_array, image.prediction.mask)
    if frame is not None:
        numbers = {
            int(item.ReferencedFrameNumber)
            for object_ in (written["seg"], written["sr"])
            for item in all_items(object_)
            if item.get("ReferencedFrameNumber") is not None
        }
        assert numbers == {frame}


@pytest.mark.parametrize("flipped", [False, True])
def test_a_segmentation_of_a_slice_lies_in_the_patient(
    tmp_path: Path, predictor: Predictor, flipped: bool
) -> None:
    dataset = pydicom.dcmread(shipped("CT_small.dcm"))
    if flipped:
        dataset.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    dataset.save_as(tmp_path / "a.dcm")
    shown = np.zeros((128, 128), np.uint8)
    shown[30:50, 20:30] = 1
    image = predicted(predictor, tmp_path / "a.dcm", displayed=shown, words={})
    seg = write(image, predictor, tmp_path, "seg")["seg"]
    assert image.refused == {}
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert [float(value) for value in cosines] == [float(v) for v in dataset.ImageOrientationPatient]
    (frame,) = seg.PerFrameFunctionalGroupsSequence
    position = frame.PlanePositionSequence[0].ImagePositionPatient
    assert [float(value) for value in position] == [float(v) for v in dataset.ImagePositionPatient]
    assert seg.FrameOfReferenceUID == dataset.FrameOfReferenceUID
    volume = highdicom.seg.segread(tmp_path / "seg" / "a.dcm").get_volume()
    assert np.array_equal(volume.array.squeeze() > 0, image.prediction.mask > 0)


def test_invalid_values_of_the_source_do_not_break_the_objects(tmp_path: Path, predictor: Predictor) -> None:
    path = radiograph(tmp_path / "a.dcm")
    content = path.read_bytes().replace(b"20260102", b"2026-1-2")
    path.write_bytes(content)
    dataset = pydicom.dcmread(path)
    dataset.PatientSex = "X"
    dataset.save_as(path)
    image = predicted(predictor, path)
    written = write(image, predictor, tmp_path / "out", "seg", "sr", "sc")
    assert image.refused == {}
    assert written["seg"].PatientSex == ""
    assert written["seg"].StudyInstanceUID == "2.25.1"


def test_names_of_all_scripts_are_kept(tmp_path: Path, predictor: Predictor) -> None:
    name = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
    path = radiograph(tmp_path / "a.dcm", SpecificCharacterSet="ISO_IR 192", PatientName=name)
    written = write(predicted(predictor, path), predictor, tmp_path / "out", "seg", "sr", "sc")
    for dataset in written.values():
        assert str(dataset.PatientName) == name


def test_what_cannot_be_written_is_refused_with_its_reason(tmp_path: Path, predictor: Predictor) -> None:
    path = tmp_path / "a.dcm"
    dataset = dicom_dataset(ramp(ROWS, COLUMNS, step=3))
    del dataset.SeriesInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    image = predicted(predictor, path)
    assert write(image, predictor, tmp_path / "out", "seg", "sr", "sc") == {}
    assert all("LEX-DATA-970" in str(reason) for reason in image.refused.values())
    assert len(image.refused) == 3
    # A CT image must state its frame of reference.
    path = dicom_file(tmp_path / "b.dcm", ramp(ROWS, COLUMNS, step=3), modality="CT")
    image = predicted(predictor, path)
    assert write(image, predictor, tmp_path / "out", "seg") == {}
    assert "LEX-DATA-971" in str(image.refused["seg"])
    assert "Frame Of Reference" in str(image.refused["seg"])
    # A retired class, which the library does not know.
    path = dicom_file(
        tmp_path / "c.dcm", ramp(ROWS, COLUMNS, step=3), SOPClassUID="1.2.840.10008.5.1.4.1.1.6"
    )
    image = predicted(predictor, path)
    assert write(image, predictor, tmp_path / "out", "seg") == {}
    assert "1.2.840.10008.5.1.4.1.1.6 (Ultrasound Image Storage) is retired" in str(image.refused["seg"])


def test_a_batch_goes_on_after_a_refusal_and_names_it(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    # Words of random networks say anything.
    monkeypatch.setattr("lexiseg.inference.writers.dicom_objects.check_sides", lambda content: None)
    radiograph(folder / "a.dcm", number=1)
    shutil.copy(folder / "a.dcm", folder / "b.dcm")
    radiograph(folder / "c.dcm", number=3)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "d.png")
    out = tmp_path / "out"
    summary = predict_to_files(predictor, find_targets([folder]), out, formats=("mask", "seg", "sr"))
    assert (summary.done, summary.failed) == (4, ())
    reasons = {(Path(image).name, name): reason for image, name, reason in summary.refused}
    assert set(reasons) == {("b.dcm", "seg"), ("b.dcm", "sr"), ("d.png", "seg"), ("d.png", "sr")}
    assert "LEX-DATA-983" in reasons["b.dcm", "seg"]
    assert "same SOP instance UID" in reasons["b.dcm", "seg"]
    assert "LEX-DATA-984" in reasons["d.png", "sr"]
    assert sorted(file.name for file in (out / "seg").iterdir()) == ["a.dcm", "c.dcm"]
    assert len(list((out / "masks").iterdir())) == 4
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    written = {Path(line["image"]).name: line["not_written"] for line in lines}
    assert written["a.dcm"] == {}
    assert set(written["b.dcm"]) == {"seg", "sr"}
    # A batch over the output folder's parent does not take objects for images.
    assert len(find_targets([tmp_path], out=out)) == 4


def test_without_highdicom_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None if name == "highdicom" else True)
    with refuses("LEX-USE-943", install_hint("dicom")):
        make_writers(["seg"])
    assert make_writers(["mask"])


def test_the_guard_counts_a_stray_pixel_as_nothing() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[:, :4] = True
    mask[0, 19] = True
    directions = Directions(row="L", column="F")
    assert laterality_guard.mask_side(mask, directions) == "right"
    mask[:, 17:] = True
    assert laterality_guard.mask_side(mask, directions) is None


def test_the_prediction_type_is_not_changed_by_writing(tmp_path: Path, predictor: Predictor) -> None:
    image = predicted(predictor, radiograph(tmp_path / "a.dcm"))
    before: Prediction = image.prediction
    write(image, predictor, tmp_path / "out", "seg", "sr")
    assert image.prediction is before
    assert image.prediction.words[2].phrase == "lower left lung"


def test_a_file_that_was_replaced_by_one_of_another_size_gets_no_objects(
    tmp_path: Path, predictor: Predictor
) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(ROWS, COLUMNS))
    image = predicted(predictor, path)
    dicom_file(path, ramp(ROWS + 2, COLUMNS))
    assert write(image, predictor, tmp_path / "out", "labelmap", "sr", "sc", "gsps") == {}
    assert len(image.refused) == 4
    assert all("LEX-DATA-1860" in str(reason) for reason in image.refused.values())
