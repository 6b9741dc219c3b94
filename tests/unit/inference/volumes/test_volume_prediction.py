"""Volumes: the mask lands on the voxels that were seen, left is left, and slices are joined."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
import pytest

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.volumes.voxel_file import open_volume_file
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.volumes.nifti_writer import NiftiVolumeWriter
from lexiseg.inference.volumes.prediction import VolumePrediction, predict_volume
from lexiseg.inference.volumes.smoothing import most_probable, smoothed_labels
from lexiseg.inference.volumes.targets import check_apart, find_volumes
from lexiseg.inference.volumes.volume_writer import PredictedVolume
from lexiseg.inference.volumes.words import VolumeWords
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses
from volume_files import ORIENTATIONS, STEPS, UpperRight, as_body, body, corners, ct_series, nifti, stored

PREDICTOR = cast(Predictor, UpperRight())
USUAL = ((0, 1, 2), (1, 1, 1))

#: What lies in the upper right quarter of each display: the patient's left is on the right, the front or the
#: head above, and the back of sagittal slices on the right.
SEEN: dict[AxisName, Any] = {
    "axial": corners(left=True, front=True),
    "coronal": corners(left=True, head=True),
    "sagittal": corners(front=False, head=True),
}


def predicted(volume: Any, prediction: VolumePrediction) -> PredictedVolume:
    return PredictedVolume(name=Path("a"), prediction=prediction, volume=volume, predictor=PREDICTOR)


@pytest.mark.parametrize("axis", list(SEEN))
def test_the_mask_lands_on_its_voxels_in_every_orientation(tmp_path: Path, axis: AxisName) -> None:
    for number, (order, signs) in enumerate(ORIENTATIONS):
        values, affine = stored(body(), order, signs)
        volume = open_volume_file(nifti(tmp_path / f"{number}.nii", values, affine))
        found = predict_volume(PREDICTOR, volume, axis=axis)
        assert found.plane == axis
        assert np.array_equal(as_body(found.labels, order, signs) > 0, SEEN[axis]), (order, signs)
        # The written file states the same voxels and the same place.
        path = tmp_path / "labels.nii.gz"
        NiftiVolumeWriter().save(predicted(volume, found), path)
        written = nibabel.nifti1.Nifti1Image.from_filename(path)
        assert np.array_equal(written.affine, nibabel.nifti1.load(tmp_path / f"{number}.nii").affine)
        assert np.array_equal(np.asarray(written.dataobj), found.labels)


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_oblique_volumes_keep_their_voxels_and_affine(tmp_path: Path, degrees: float) -> None:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(4)
    turn[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    order, signs = (2, 0, 1), (1, -1, 1)
    values, affine = stored(body(), order, signs)
    path = nifti(tmp_path / "a.nii.gz", values, turn @ affine)
    volume = open_volume_file(path)
    found = predict_volume(PREDICTOR, volume, axis="axial")
    assert np.array_equal(as_body(found.labels, order, signs) > 0, SEEN["axial"])
    assert any("oblique" in note for note in found.assumptions) == (degrees != 0)
    assert found.volume_mm3 == pytest.approx({"lesion": SEEN["axial"].sum() * np.prod(STEPS)})
    out = tmp_path / "labels.nii.gz"
    NiftiVolumeWriter().save(predicted(volume, found), out)
    header, source = nibabel.nifti1.load(out).header, nibabel.nifti1.load(path).header
    for form in ("get_sform", "get_qform"):
        assert np.array_equal(getattr(header, form)(), getattr(source, form)())
    assert header["sform_code"] == source["sform_code"] == 1
    first = out.read_bytes()
    NiftiVolumeWriter().save(predicted(volume, found), out)
    assert out.read_bytes() == first


def test_labels_of_a_volume_that_is_too_long_for_nifti_1_are_nifti_2(tmp_path: Path) -> None:
    header = "NDims = 3\nDimSize = 40000 4 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(header.encode() + np.full((2, 4, 40_000), 200, np.uint8).tobytes())
    volume = open_volume_file(tmp_path / "a.mha")
    found = predict_volume(PREDICTOR, volume, axis="k")
    NiftiVolumeWriter().save(predicted(volume, found), tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert type(image) is nibabel.nifti2.Nifti2Image
    assert image.shape == (40_000, 4, 2)


@pytest.mark.parametrize("version", [1, 2])
def test_no_text_of_the_header_is_copied(tmp_path: Path, version: int) -> None:
    values, affine = stored(body(), *USUAL)
    kind = (nibabel.nifti1.Nifti1Image, nibabel.nifti2.Nifti2Image)[version - 1]
    image = kind(values, affine)
    texts = [name for name in image.header if image.header[name].dtype.kind == "S" and name != "magic"]
    assert len(texts) == (6, 4)[version - 1]
    for name in texts:
        image.header[name] = b"Z" * image.header[name].dtype.itemsize
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"ZZZZ"))
    image.to_filename(tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes().count(b"Z") > 100
    volume = open_volume_file(tmp_path / "a.nii")
    NiftiVolumeWriter().save(predicted(volume, predict_volume(PREDICTOR, volume)), tmp_path / "b.nii")
    assert b"Z" not in gzip.decompress((tmp_path / "b.nii").read_bytes())


def test_slices_have_areas_and_the_volume_its_size(tmp_path: Path) -> None:
    values, affine = stored(body(), *USUAL)
    found = predict_volume(PREDICTOR, open_volume_file(nifti(tmp_path / "a.nii", values, affine)))
    # The longest step is that of the slices from head to feet; two of them hold a block of 2 x 2 pixels.
    assert (found.axis, found.plane) == (2, "axial")
    assert [result.area_px["lesion"] for result in found.slices] == [0, 4, 0, 0, 0, 0, 4, 0]
    assert found.slices[1].area_mm2 == pytest.approx({"lesion": 4 * 0.5 * 0.75})
    assert found.voxels == {"lesion": 8}
    assert found.volume_mm3 == pytest.approx({"lesion": 8 * 0.75})
    assert found.side == "image"
    assert any("not square" in note for note in found.assumptions)


def test_without_an_affine_nothing_is_turned_and_the_side_is_unknown(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", body(), np.eye(4), code=0)
    found = predict_volume(PREDICTOR, open_volume_file(path))
    assert found.side == "unknown"
    assert found.axis == 2
    # As stored: the upper right quarter has large i and small j.
    assert np.array_equal(found.labels > 0, corners(left=True, front=True))


def probability(*values: float) -> Prediction:
    maps = np.array(values, np.float32).reshape(-1, 1, 1)
    return Prediction(
        mask=(maps[0] > 0.5).astype(np.uint8),
        probability=maps,
        words=(),
        measured=None,
        side="image",
        agreement=None,
        flagged=False,
        area_px={},
        area_mm2=None,
    )


def test_smoothing_averages_neighbours() -> None:
    def labels(*values: float) -> list[int]:
        return [int(found[0, 0]) for _, found in smoothed_labels([probability(value) for value in values])]

    # (1 + 2 x 0.1 + 1) / 4 = 0.55; (2 x 1 + 0.1) / 3 = 0.7
    assert labels(1.0, 0.1, 1.0) == [1, 1, 1]
    # (0 + 2 x 0.9 + 0.1) / 4 = 0.475: a lesion of one slice goes.
    assert labels(0.0, 0.9, 0.1) == [0, 0, 0]
    assert labels(0.9) == [1]
    assert labels() == []
    # Two classes and the background: 0.3, 0.4 leave 0.3 for the background.
    assert most_probable(np.array([0.3, 0.4]).reshape(2, 1, 1)).tolist() == [[2]]
    assert most_probable(np.array([0.2, 0.2]).reshape(2, 1, 1)).tolist() == [[0]]
    assert most_probable(np.array([0.5]).reshape(1, 1, 1)).tolist() == [[0]]


def test_smoothing_is_that_of_the_slices_in_the_volume(tmp_path: Path) -> None:
    values, affine = stored(body(), *USUAL)
    volume = open_volume_file(nifti(tmp_path / "a.nii", values, affine))
    found = predict_volume(PREDICTOR, volume, smooth_slices=True)
    # A block of one slice has (0 + 2 + 0) / 4 = 0.5, which is background.
    assert found.smoothed
    assert found.voxels == {"lesion": 0}
    # At the end of the volume (2 + 0) / 3 stays.
    volume = open_volume_file(nifti(tmp_path / "b.nii", np.roll(values, 1, axis=2), affine))
    found = predict_volume(PREDICTOR, volume, smooth_slices=True)
    assert [result.area_px["lesion"] for result in found.slices] == [0, 0, 0, 0, 0, 0, 0, 4]


def test_words_of_a_volume_are_weighted_with_the_area() -> None:
    vocabulary = load_vocabulary("polyp")

    def words(first: float) -> tuple[RetrievedWord, ...]:
        return tuple(
            RetrievedWord(
                factor=factor.name,
                title=factor.title,
                index=0,
                phrase=factor.phrases[0],
                confidence=first,
                runners_up=(),
                probabilities=(first, 1 - first, *[0.0] * (len(factor.phrases) - 2)),
            )
            for factor in vocabulary.factors
        )

    volume = VolumeWords(vocabulary)
    assert volume.words() == ()
    assert volume.measured() is None
    measures = [
        vocabulary.describe([first, *[UNKNOWN] * (len(vocabulary.factors) - 1)], source="concepts")
        for first in (0, 1, 1, 0)
    ]
    volume.add(words(0.2), measures[0], 0)
    volume.add(words(0.4), measures[1], 0)
    # Without any lesion, all slices count the same.
    assert volume.words()[0].phrase == vocabulary.factors[0].phrases[1]
    assert volume.words()[0].confidence == pytest.approx(0.7)
    volume.add(words(0.9), measures[2], 30)
    volume.add(words(0.5), measures[3], 10)
    # 30 pixels of lesion measure the second phrase, 10 the first one; the others measure nothing.
    measured = volume.measured()
    assert measured is not None
    assert measured.indices == (1, *[UNKNOWN] * (len(vocabulary.factors) - 1))
    assert volume.words()[0].phrase == vocabulary.factors[0].phrases[0]
    assert volume.words()[0].confidence == pytest.approx((0.9 * 30 + 0.5 * 10) / 40)


def test_volumes_are_found_in_folders(tmp_path: Path) -> None:
    root = tmp_path / "in"
    ct_series(root / "patient" / "ct", SeriesNumber=3)
    ct_series(root / "two", SeriesInstanceUID="2.25.8", SeriesNumber=1)
    for path in ct_series(root / "more", SeriesInstanceUID="2.25.9", SeriesNumber=2):
        path.rename(root / "two" / f"b{path.name}")
    nifti(root / "mr.nii.gz", body(), np.eye(4))
    (root / "picture.png").write_bytes(b"x")
    (root / ".hidden.nii").write_bytes(b"x")
    found = find_volumes([root])
    names = sorted(str(target.name) for target in found.targets)
    assert names == ["mr", "patient/ct", "two-series-1", "two-series-2"]
    assert len(found.files) == 25
    assert all(len(target.slices) in (0, 8) for target in found.targets)
    assert find_volumes([root], with_dicom=False).files == {(root / "mr.nii.gz").resolve()}
    # Files that are named one by one are images.
    files = sorted((root / "patient" / "ct").iterdir())
    assert find_volumes(files).targets == ()
    assert [target.name for target in find_volumes([root / "patient" / "ct"]).targets] == [Path("ct")]
    with refuses("LEX-DATA-1201", "'mr'"):
        check_apart(found.targets, [Target(image=Path("mr.dcm"), name=Path("mr"))])
    nifti(tmp_path / "mr.nii", body(), np.eye(4))
    with refuses("LEX-DATA-1200", "'mr'"):
        find_volumes([root / "mr.nii.gz", tmp_path / "mr.nii"])
