"""Volumes and DICOM files in data sets: slices as images, label maps as masks, spacing from the file."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription

from dicom_files import dicom_file, ramp
from lexiseg.clinic import segmentation_mask
from lexiseg.clinic.coded_concepts import ABNORMAL_STRUCTURE
from lexiseg.clinic.series import file_without_pixels, series_volume, slice_headers
from lexiseg.clinic.series_segmentation import series_sources
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.content import read_content
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.layouts.volume_slices import file_spacing
from lexiseg.data.leaks import refuse_leaks
from lexiseg.data.readers import read_image, read_pair, write_mask
from lexiseg.data.volumes import segmented_images
from refusals import refuses
from volume_files import BODY_SHAPE, STEPS, body, corners, ct_series, nifti, stored

USUAL = ((0, 1, 2), (1, 1, 1))


def volume_set(root: Path, count: int = 5) -> Path:
    """Write volumes in several orientations with label maps that mark the upper right of axial slices."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    orders = [USUAL, ((1, 0, 2), (-1, 1, 1)), ((2, 1, 0), (1, -1, -1)), ((0, 2, 1), (-1, -1, 1)), USUAL]
    labels = corners(left=True, front=True).astype(np.float64)
    for number, (order, signs) in enumerate(orders[:count]):
        values, affine = stored(body() - number, order, signs)
        nifti(root / "images" / f"p{number}.nii.gz", values, affine)
        nifti(root / "masks" / f"p{number}_seg.nii.gz", stored(labels, order, signs)[0], affine)
    return root


def test_slices_are_images_in_their_usual_display(tmp_path: Path) -> None:
    index = open_dataset(volume_set(tmp_path / "set"))
    assert len(index.samples) == 5 * BODY_SHAPE[2]
    assert index.class_names == ("background", "lesion")
    first = next(sample for sample in index.samples if sample.patient == "p0")
    assert first.image == tmp_path / "set" / "images" / "p0.nii.gz" / "p0_k000.png"
    marked = 0
    for sample in index.samples:
        image, labels = read_pair(sample, index.coding)
        # Front above, the patient's left on the right: 10 rows and 12 columns, whatever the file stores.
        assert image.shape == (10, 12, 3)
        assert sample.spacing_mm == pytest.approx((STEPS[1], STEPS[0]))
        if labels.any():
            marked += 1
            bright = image[..., 0] > 127
            assert np.array_equal(labels > 0, bright & (np.arange(12) >= 6) & (np.arange(10) < 5)[:, None])
    assert marked == 5 * 2
    # All slices of a volume are in one split.
    splits = {(sample.patient, sample.split) for sample in index.samples}
    assert len(splits) == 5
    assert not index.left_out


def test_data_files_of_volumes_are_read_and_others_are_said(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set")
    (root / "images" / "x.mhd").write_text("ElementDataFile = x.img\n")
    for name in ("x.img", "y.raw"):
        (root / "images" / name).write_bytes(b"voxels")
    found = unread_files(root, [root / "images"], sheets=[], tables_in=[], advice="", with_volumes=True)
    assert [(item.reason, item.names) for item in found if item.reason == "ending"] == [
        ("ending", ("1 .raw",))
    ]


def test_volumes_that_are_not_read_are_said(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set")
    for folder in ("raw", "images/old"):
        (root / folder).mkdir()
        shutil.copy(root / "images" / "p0.nii.gz", root / folder)
    left_out = open_dataset(root).left_out
    assert [(item.reason, item.names) for item in left_out] == [
        ("subfolder", ("images/old (1)",)),
        ("other-folder", ("raw (1)",)),
    ]


def test_volumes_beside_the_folders_of_splits_are_said(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set")
    for number, split in enumerate(("train", "val", "test")):
        for folder, name in (("images", f"p{number}.nii.gz"), ("masks", f"p{number}_seg.nii.gz")):
            (root / folder / split).mkdir()
            (root / folder / name).rename(root / folder / split / name)
    (left_out,) = open_dataset(root).left_out
    assert left_out.reason == "beside-splits"
    assert set(left_out.names) == {
        f"{folder}/p{number}{end}"
        for number in (3, 4)
        for folder, end in (("images", ".nii.gz"), ("masks", "_seg.nii.gz"))
    }


def test_the_check_reads_volumes_like_other_images(tmp_path: Path) -> None:
    report = check_dataset(volume_set(tmp_path / "set", 3))
    assert not report.has_errors, report.findings
    assert sum(report.samples.values()) == 24


def test_label_maps_on_another_grid_are_refused(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set", 3)
    values, affine = stored(body(), *USUAL)
    nifti(root / "masks" / "p0_seg.nii.gz", values[:, :, ::-1], affine @ np.diag([1, 1, -1, 1]))
    with refuses("LEX-DATA-025", "p0_seg.nii.gz is no label map", "affine"):
        open_dataset(root)
    nifti(root / "masks" / "p0_seg.nii.gz", values[:, :, 1:], affine)
    with refuses("LEX-DATA-025", "12 x 10 x 8 and 12 x 10 x 7 voxels"):
        open_dataset(root)


def test_fractions_are_no_labels_and_slices_may_be_gone(tmp_path: Path) -> None:
    values, affine = stored(body(), *USUAL)
    path = nifti(tmp_path / "a.nii", values / 7.0, affine)
    with refuses("LEX-DATA-1226", "slice 3"):
        read_content(path / "a_k003_label.png")
    with refuses("LEX-DATA-1225", "no slice 9"):
        read_content(path / "a_k009.png")
    assert read_image(path / "a_i002.png").shape == (8, 10, 3)
    with refuses("LEX-DATA-010", "other.png"):
        read_content(path / "other.png")


def test_dicom_images_bring_their_spacing(tmp_path: Path) -> None:
    section = dicom_file(tmp_path / "ct.dcm", ramp(8, 8), modality="CT", PixelSpacing=[0.5, 0.25])
    radiograph = dicom_file(tmp_path / "cr.dcm", ramp(8, 8), ImagerPixelSpacing=[0.2, 0.2])
    assert file_spacing(section) == (0.5, 0.25)
    # The spacing of the detector is none of the body.
    assert file_spacing(radiograph) is None
    write_mask(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    assert file_spacing(tmp_path / "a.png") is None
    (tmp_path / "bad.dcm").write_bytes(b"no DICOM")
    assert file_spacing(tmp_path / "bad.dcm") is None


def segmentation(
    path: Path,
    files: list[Path],
    labels: npt.NDArray[np.uint8],
    kind: SegmentationTypeValues = SegmentationTypeValues.BINARY,
) -> None:
    """Write a segmentation of a series with highdicom; labels are `(left, back, head)`."""
    slices = tuple(header for file in files for header in slice_headers(file))
    Segmentation(
        source_images=series_sources(series_volume(slices, path).slices, file_without_pixels),
        pixel_array=np.ascontiguousarray(labels.T),
        segmentation_type=kind,
        segment_descriptions=[
            SegmentDescription(
                segment_number=1,
                segment_label="lesion",
                segmented_property_category=ABNORMAL_STRUCTURE,
                segmented_property_type=ABNORMAL_STRUCTURE,
                algorithm_type="MANUAL",
            )
        ],
        series_instance_uid="2.25.70",
        series_number=70,
        sop_instance_uid="2.25.71",
        instance_number=1,
        manufacturer="Lexiseg tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)


def test_a_segmentation_of_a_series_is_the_mask_of_its_slices(tmp_path: Path) -> None:
    files = ct_series(tmp_path / "images")
    labels = np.asfortranarray(corners(left=True, front=True).astype(np.uint8))
    (tmp_path / "masks").mkdir()
    for kind in (SegmentationTypeValues.BINARY, SegmentationTypeValues.LABELMAP):
        segmentation(tmp_path / "masks" / "reader1.dcm", files, labels, kind)
        index = open_dataset(tmp_path)
        assert len(index.samples) == 8
        for sample in index.samples:
            _, mask = read_pair(sample, index.coding)
            k = int(sample.id.removeprefix("s"))
            assert np.array_equal(mask, labels[:, :, k].T)
            assert sample.spacing_mm == (STEPS[1], STEPS[0])
    # A segmentation of a series that is not here is named, not lost.
    others = ct_series(tmp_path / "elsewhere", SeriesInstanceUID="2.25.99")
    segmentation(tmp_path / "masks" / "other.dcm", others, labels)
    finding = check_dataset(tmp_path).of("orphan-mask")
    assert finding is not None
    assert [Path(note.file).name for note in finding.files] == ["other.dcm"]
    dataset = pydicom.dcmread(tmp_path / "masks" / "reader1.dcm")
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    dataset.save_as(tmp_path / "masks" / "reader1.dcm")
    with refuses("LEX-DATA-1228", "frame 1", "reader1.dcm"):
        read_content(tmp_path / "masks" / "reader1.dcm" / "2.25.10001" / "s00_label.png")


def change(path: Path, **values: str) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_the_time_of_segmented_series_grows_with_their_number_not_with_its_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each header is read once for all segmentations, and each frame is asked once for its images."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    masks.mkdir()
    labels = corners(left=True).astype(np.uint8)
    for number in range(3):
        files = ct_series(tmp_path / "one", SeriesInstanceUID=f"2.25.9{number}")
        for k, file in enumerate(files):
            change(file, SOPInstanceUID=f"2.25.9{number}{k}")
        segmentation(masks / f"p{number}.dcm", files, labels)
        images.mkdir(exist_ok=True)
        for file in files:
            shutil.move(file, images / f"p{number}_{file.name}")
    read: Counter[Path] = Counter()
    asked: Counter[int] = Counter()

    def counted_read(path: Path, **options: Any) -> pydicom.Dataset:
        read[path] += 1
        return pydicom.dcmread(path, **options)

    def counted_ask(dataset: pydicom.Dataset, path: Path, index: int) -> set[str]:
        asked[index] += 1
        return images_of_frame(dataset, path, index)

    images_of_frame = segmentation_mask._images_of_frame
    monkeypatch.setattr(segmented_images, "dcmread", counted_read)
    monkeypatch.setattr(segmentation_mask, "_images_of_frame", counted_ask)
    index = open_dataset(tmp_path)
    for sample in index.samples:
        k = int(sample.id[-2:])
        assert np.array_equal(read_pair(sample, index.coding)[1], labels[:, :, k].T)
    assert len(index.samples) == 3 * 8
    assert set(read.values()) == {1}
    assert set(asked.values()) == {3}


def test_empty_slices_at_the_ends_of_volumes_are_no_leak(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set")
    for number in range(5):
        path = root / "images" / f"p{number}.nii.gz"
        image = nibabel.nifti1.load(path)
        values = np.asarray(image.dataobj) + 5
        for axis in range(3):
            # Along one of the axes these are the slices of the head and of the feet.
            place = [slice(None)] * 3
            place[axis] = slice(0, 1)
            values[tuple(place)] = 0
        nifti(path, values, image.affine)
    index = open_dataset(root)
    assert refuse_leaks(index, allow=False).leaks == ()
    assert check_dataset(root).of("duplicate-image") is None


def slicer_set(root: Path, names: tuple[tuple[str, str], ...]) -> Path:
    """Write volumes with label maps of 3D Slicer: labels 1 and 2, with the names of both in each file."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    labels = corners(left=True).astype(np.uint8) + 2 * corners(left=False).astype(np.uint8)
    for number, of_file in enumerate(names):
        for folder, values in (("images", body() - number), ("masks", labels)):
            image = SimpleITK.GetImageFromArray(values.T)
            image.SetSpacing(STEPS)
            if folder == "masks":
                for segment, name in enumerate(of_file):
                    image.SetMetaData(f"Segment{segment}_Name", name)
                    image.SetMetaData(f"Segment{segment}_LabelValue", str(segment + 1))
            ending = ".nrrd" if folder == "images" else ".seg.nrrd"
            SimpleITK.WriteImage(image, str(root / folder / f"p{number}{ending}"))
    return root


def test_label_maps_of_3d_slicer_keep_their_meaning(tmp_path: Path) -> None:
    same = slicer_set(tmp_path / "same", (("Tumor", "Kidney"), ("tumor", "Kidney"), ("Segment_1", "kidney")))
    index = open_dataset(same)
    assert all(sample.mask is not None for sample in index.samples)
    assert len(index.class_names) == 3
    other = slicer_set(tmp_path / "other", (("Tumor", "Kidney"), ("Kidney", "Tumor"), ("Tumor", "Kidney")))
    with refuses("LEX-DATA-1892", "Segment 1 is 'Tumor'", "p0.seg.nrrd", "but 'Kidney'", "p1.seg.nrrd"):
        open_dataset(other)
    (other / "dataset.yaml").write_text("classes: {0: background, 1: lesion, 2: lesion}")
    index = open_dataset(other)
    assert index.class_names == ("background", "lesion")
    assert any("both are read as dataset.yaml states" in note for note in index.assumptions)


def test_labels_that_a_program_scaled_are_whole_numbers(tmp_path: Path) -> None:
    """nibabel does so with labels of fractions under the header of a CT."""
    root = volume_set(tmp_path / "set")
    before = [
        read_pair(sample, index.coding)[1] for index in [open_dataset(root)] for sample in index.samples
    ]
    for path in (root / "masks").iterdir():
        image = nibabel.nifti1.load(path)
        scaled = nibabel.nifti1.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), image.affine)
        scaled.set_data_dtype(np.int16)
        scaled.to_filename(path)
    assert nibabel.nifti1.load(path).dataobj.slope < 1e-3
    index = open_dataset(root)
    after = [read_pair(sample, index.coding)[1] for sample in index.samples]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_two_label_maps_of_a_volume_are_named(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set", 3)
    shutil.copy(root / "masks" / "p1_seg.nii.gz", root / "masks" / "p1.nii.gz")
    with refuses("LEX-DATA-025", "Two label maps belong to the volume p1: p1.nii.gz and p1_seg.nii.gz"):
        open_dataset(root)


def test_label_maps_of_no_volume_are_left_out_whatever_their_names(tmp_path: Path) -> None:
    root = volume_set(tmp_path / "set", 3)
    for name in ("x_seg.nii.gz", "x_label.nii.gz"):
        shutil.copy(root / "masks" / "p1_seg.nii.gz", root / "masks" / name)
    (left_out,) = open_dataset(root).left_out
    assert left_out.reason == "orphan-mask"
    assert left_out.count == 2 * BODY_SHAPE[2]
