"""Batches of volumes: DICOM segmentations over a series, records, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from torch import nn

from dicom_files import shipped
from lexiseg.clinic import series_segmentation
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.prediction import predict_volume
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.volumes.volumes_file import VolumeRecord
from lexiseg.runs.run import Run
from refusals import refuses
from volume_files import STEPS, body, corners, ct_series, mark_upper_right, nifti, stored


@pytest.fixture
def predictor(made: tuple[Run, nn.Module], monkeypatch: pytest.MonkeyPatch) -> Predictor:
    found = Predictor(made[0], PredictionOptions(batch_size=3))
    monkeypatch.setattr(found, "predict_decoded", mark_upper_right)
    return found


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "volumes.jsonl").read_text().splitlines()]


def placed_labels(path: Path, files: list[Path]) -> np.ndarray:
    """Return the labels of a segmentation, `(left, back, head)`, each frame at the slice of its position."""
    dataset = pydicom.dcmread(path)
    kind = highdicom.seg.Segmentation.from_dataset(dataset)
    heights = [pydicom.dcmread(file).ImagePositionPatient[2] for file in files]
    found = np.zeros((*pydicom.dcmread(files[0]).pixel_array.T.shape, len(files)), np.uint8)
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        frame = dataset.pixel_array if kind.number_of_frames == 1 else dataset.pixel_array[index]
        found[:, :, heights.index(position[2])] = frame.T
    return found


def test_a_segmentation_lies_on_the_slices_of_its_series(tmp_path: Path, predictor: Predictor) -> None:
    """Pitfalls 19 and 23: shuffled slices, and label maps that lose their positions."""
    files = ct_series(tmp_path / "ct")
    for place, k in enumerate([5, 2, 7, 0, 1, 6, 3, 4]):
        files[k] = files[k].rename(tmp_path / "ct" / f"IM{place:04d}.dcm")
    targets = find_volumes([tmp_path / "ct"]).targets
    out = tmp_path / "out"
    summary = predict_volumes_to_files(
        predictor, targets, out, formats=["mask", "seg", "labelmap", "probability"], axis="axial"
    )
    assert (summary.done, summary.slices, summary.failed) == (1, 8, ())
    wanted = corners(left=True, front=True)
    for name in ("seg", "labelmap"):
        assert np.array_equal(placed_labels(out / name / "ct.dcm", files) > 0, wanted)
    written = nibabel.nifti1.load(out / "nifti" / "ct.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj) > 0, wanted)
    (record,) = lines(out)
    assert record["mask"] == "nifti/ct.nii.gz"
    assert record["orientation"] == ["L", "P", "H"]
    assert record["kind"] == "DICOM series, CT"
    assert [found["area_px"]["lesion"] for found in record["slices"]] == [0, 4, 0, 0, 0, 0, 4, 0]
    assert record["slices"][6]["file"] == str(files[6])
    assert record["volume_mm3"] == {"lesion": 8 * 0.5 * 0.75 * 2}
    assert list(record["not_written"]) == ["probability"]
    assert "with single slices" in record["not_written"]["probability"]
    VolumeRecord.model_validate(record)
    segmentation = pydicom.dcmread(out / "seg" / "ct.dcm")
    assert segmentation.NumberOfFrames == 2  # empty slices are left out
    assert segmentation.StudyInstanceUID == "2.25.1"
    assert segmentation.FrameOfReferenceUID == "2.25.77"
    # A viewer finds the slices by their series, and no filter of numbers hides the segmentation.
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "2.25.2"
    listed = {str(image.ReferencedSOPInstanceUID) for image in series.ReferencedInstanceSequence}
    assert listed == {f"2.25.1000{k + 1}" for k in range(8)}
    assert segmentation.SeriesNumber == 101
    before = (out / "seg" / "ct.dcm").read_bytes()
    predict_volumes_to_files(predictor, targets, out, formats=["seg"], axis="axial")
    assert (out / "seg" / "ct.dcm").read_bytes() == before
    assert not (out / "nifti" / "ct.nii.gz").exists()


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        # Pitfall 17: rows run to the patient's right, so the stored image is mirrored. The phantom then lies
        # mirrored too: what is stored at a large i is on the right.
        ({"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]}, corners(left=False, front=True)),
        # Columns run to the front.
        ({"ImageOrientationPatient": [1, 0, 0, 0, -1, 0]}, corners(left=True, front=False)),
    ],
)
def test_mirrored_series_get_their_mask_on_the_side_that_was_seen(
    tmp_path: Path, predictor: Predictor, changes: dict[str, Any], seen: Any
) -> None:
    files = ct_series(tmp_path / "ct", **changes)
    out = tmp_path / "out"
    targets = find_volumes([tmp_path / "ct"]).targets
    summary = predict_volumes_to_files(predictor, targets, out, formats=["seg", "nifti"])
    assert summary.refused == ()
    assert np.array_equal(placed_labels(out / "seg" / "ct.dcm", files) > 0, seen)
    # In the NIfTI file, the marked voxels lie on the patient's left: small coordinates, as x runs to the
    # right.
    image = nibabel.nifti1.load(out / "nifti" / "ct.nii.gz")
    marked = nibabel.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj) > 0))
    whole = nibabel.affines.apply_affine(image.affine, np.argwhere(np.ones(image.shape)))
    assert (marked[:, 0] < whole[:, 0].mean()).all()
    assert (marked[:, 1] > whole[:, 1].mean()).all()


def test_a_series_of_an_animal_gets_its_objects_which_say_so(tmp_path: Path, predictor: Predictor) -> None:
    files = ct_series(tmp_path / "ct", AnatomicalOrientationType="QUADRUPED")
    out = tmp_path / "out"
    targets = find_volumes([tmp_path / "ct"]).targets
    formats = ["seg", "labelmap", "sr", "sc", "gsps", "nifti"]
    assert predict_volumes_to_files(predictor, targets, out, formats=formats).refused == ()
    for name in ("seg", "labelmap"):
        assert placed_labels(out / name / "ct.dcm", files).any()
        assert pydicom.dcmread(out / name / "ct.dcm").AnatomicalOrientationType == "QUADRUPED"
    # Nothing claims the directions of a human.
    (record,) = lines(out)
    assert record["orientation"] is None
    assert record["plane"] == "unknown"
    assert not pydicom.dcmread(out / "sc" / "ct.dcm").PatientOrientation
    header = nibabel.nifti1.load(out / "nifti" / "ct.nii.gz").header
    assert (header["sform_code"], header["qform_code"]) == (0, 0)
    assert header.get_zooms() == pytest.approx(STEPS)


def test_slices_across_a_series_have_its_orientation(tmp_path: Path, predictor: Predictor) -> None:
    """Pitfall 18: the head is above, whatever the order of the files."""
    ct_series(tmp_path / "ct")
    (target,) = find_volumes([tmp_path / "ct"]).targets
    volume = target.open(predictor.options.view)
    assert np.array_equal(
        predict_volume(predictor, volume, axis="coronal").labels > 0, corners(left=True, head=True)
    )
    found = predict_volume(predictor, volume, axis="sagittal")
    assert np.array_equal(found.labels > 0, corners(front=False, head=True))
    assert found.side == "unknown"
    assert found.facts.shown == "window 128, 256 of the file"
    assert len(found.slices) == 12


def test_slices_without_a_window_share_one_range(tmp_path: Path, predictor: Predictor) -> None:
    values = body().astype(np.uint16)
    values[:, :, 3] = 90
    ct_series(tmp_path / "ct", values, WindowCenter=None, WindowWidth=None)
    (target,) = find_volumes([tmp_path / "ct"]).targets
    slices = target.open(predictor.options.view).slices(2)
    assert int(slices.read(1).pixels.max()) == 255
    # Alone, a constant slice would be black.
    assert set(slices.read(3).pixels.ravel().tolist()) == {round((90 - 10) / 190 * 255)}
    facts = slices.read(3).facts
    assert facts is not None
    assert facts.shown == "range 10 to 200 of the volume"


def test_an_empty_label_volume_is_an_empty_segmentation(tmp_path: Path, predictor: Predictor) -> None:
    """Pitfall 20."""
    files = ct_series(tmp_path / "ct", np.zeros((12, 10, 8), np.uint8))
    out = tmp_path / "out"
    summary = predict_volumes_to_files(
        predictor, find_volumes([tmp_path / "ct"]).targets, out, formats=["seg", "labelmap"]
    )
    assert summary.refused == ()
    for name in ("seg", "labelmap"):
        assert not placed_labels(out / name / "ct.dcm", files).any()


def test_a_segmentation_that_differs_is_not_kept(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ct_series(tmp_path / "ct")
    targets = find_volumes([tmp_path / "ct"]).targets
    build = series_segmentation.build_series_segmentation

    def shifted(slices: Any, sources: Any, name: Any, content: Any, labels: Any, **more: Any) -> Any:
        return build(slices, sources, name, content, np.asfortranarray(np.roll(labels, 1, axis=2)), **more)

    monkeypatch.setattr(series_segmentation, "build_series_segmentation", shifted)
    summary = predict_volumes_to_files(predictor, targets, tmp_path / "out", formats=["seg"])
    ((_, name, reason),) = summary.refused
    assert (name, "voxels are not the same" in reason, "LEX-DATA-1204" in reason) == ("seg", True, True)
    assert not list((tmp_path / "out" / "seg").iterdir())


def test_one_bad_volume_does_not_stop_the_rest(tmp_path: Path, predictor: Predictor) -> None:
    ct_series(tmp_path / "in" / "ct")[3].unlink()
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    nifti(tmp_path / "in" / "b.nii.gz", values, affine)
    seen = []
    out = tmp_path / "out"
    summary = predict_volumes_to_files(
        predictor,
        find_volumes([tmp_path / "in"]).targets,
        out,
        formats=["mask", "seg"],
        on_result=lambda label, result: seen.append(Path(label).name),
    )
    assert summary.done == 1
    assert sorted(seen) == ["b.nii.gz", "ct"]
    ((label, reason),) = summary.failed
    assert (Path(label).name, "1 slice is missing" in reason) == ("ct", True)
    assert [line.get("code") for line in lines(out)] == [None, "LEX-DATA-1186"]
    # A NIfTI volume gets no DICOM segmentation.
    ((_, name, reason),) = summary.refused
    assert (name, "LEX-DATA-1206" in reason) == ("seg", True)
    (out / "nifti" / "b.nii.gz").write_bytes(b"changed")
    with refuses("LEX-DATA-741", "b.nii.gz"):
        predict_volumes_to_files(predictor, find_volumes([tmp_path / "in"]).targets, out)


def test_a_volume_that_names_no_planes_does_not_stop_the_rest(tmp_path: Path, predictor: Predictor) -> None:
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    (tmp_path / "in").mkdir()
    nifti(tmp_path / "in" / "a.nii.gz", values, affine, code=0)
    nifti(tmp_path / "in" / "b.nii.gz", values, affine)
    out = tmp_path / "out"
    summary = predict_volumes_to_files(predictor, find_volumes([tmp_path / "in"]).targets, out, axis="axial")
    assert summary.done == 1
    assert (out / "nifti" / "b.nii.gz").is_file()
    ((label, reason),) = summary.failed
    assert label == str(tmp_path / "in" / "a.nii.gz")
    assert "a.nii.gz does not say where the patient's head" in reason
    assert [line.get("code") for line in lines(out)] == ["LEX-DATA-1805", None]


def test_sizes_in_records_are_rounded(tmp_path: Path, predictor: Predictor) -> None:
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    nifti(tmp_path / "a.nii", values, affine @ np.diag([1 / 3, 1, 1, 1]))
    predict_volumes_to_files(predictor, find_volumes([tmp_path / "a.nii"]).targets, tmp_path / "out")
    (record,) = lines(tmp_path / "out")
    # 8 voxels of 0.25 mm3, and 4 pixels of 0.125 mm2; the header holds single precision.
    assert record["volume_mm3"] == {"lesion": 2.0}
    assert record["slices"][1]["area_mm2"] == {"lesion": 0.5}


def test_a_file_of_several_frames_is_a_volume(predictor: Predictor) -> None:
    path = shipped("eCT_Supplemental.dcm")
    (target,) = find_volumes([path]).targets
    volume = target.open(predictor.options.view)
    assert volume.kind == "DICOM file of several frames, CT"
    found = predict_volume(predictor, volume)
    assert found.labels.shape == (512, 512, 2)
    assert found.plane == "axial"


def test_slices_have_the_pixel_size_of_their_file_also_where_options_state_one(
    tmp_path: Path, made: tuple[Run, nn.Module]
) -> None:
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    ct_series(tmp_path / "in" / "ct")
    nifti(tmp_path / "in" / "a.nii", values, affine)
    targets = find_volumes([tmp_path / "in"]).targets
    records = []
    for options in (PredictionOptions(), PredictionOptions(spacing_mm=(9, 9))):
        predict_volumes_to_files(Predictor(made[0], options), targets, tmp_path / "out", formats=["seg"])
        records.append(lines(tmp_path / "out"))
    assert records[0] == records[1]
    for record in records[1]:
        assert record["volume_mm3"]["lesion"] > 0
        areas = [found["area_mm2"]["lesion"] for found in record["slices"]]
        assert sum(areas) * record["steps_mm"][2] == pytest.approx(record["volume_mm3"]["lesion"])
