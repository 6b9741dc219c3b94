"""NIfTI masks, read back with nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from torch import nn

from dicom_files import shipped
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run


def written(out: Path, name: str) -> nib.nifti1.Nifti1Image:
    return nib.nifti1.Nifti1Image.from_filename(out / "nifti" / f"{name}.nii.gz")


def test_a_slice_lies_where_its_dicom_file_says(tmp_path: Path, made: tuple[Run, nn.Module]) -> None:
    out = tmp_path / "out"
    targets = find_targets([shipped("CT_small.dcm")])
    predict_to_files(Predictor(made[0]), targets, out, formats=("mask", "nifti"))
    volume = written(out, "CT_small")
    mask = np.asarray(Image.open(out / "masks" / "CT_small.png"))
    assert np.array_equal(np.asarray(volume.dataobj)[..., 0].T * 255, mask)
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    left, back, head = (float(value) for value in source.ImagePositionPatient)
    # The first pixel in NIfTI's directions: right and front are positive.
    assert volume.affine[:3, 3] == pytest.approx([-left, -back, head], abs=1e-3)
    # One column further is one pixel further to the patient's left.
    assert volume.affine[:3, 0] == pytest.approx([-float(source.PixelSpacing[1]), 0, 0], abs=1e-6)
    assert (int(volume.header["sform_code"]), int(volume.header["qform_code"])) == (1, 1)


def test_a_slice_of_an_animal_on_four_feet_has_no_directions_of_a_human(
    tmp_path: Path, made: tuple[Run, nn.Module]
) -> None:
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    source.AnatomicalOrientationType = "QUADRUPED"
    source.save_as(tmp_path / "a.dcm")
    predict_to_files(
        Predictor(made[0]), find_targets([tmp_path / "a.dcm"]), tmp_path / "out", formats=("nifti",)
    )
    header = written(tmp_path / "out", "a").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_zooms()[:2] == pytest.approx(tuple(source.PixelSpacing)[::-1])


def test_a_picture_has_no_place_in_the_patient(tmp_path: Path, made: tuple[Run, nn.Module]) -> None:
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(tmp_path / "a.png")
    targets = find_targets([tmp_path / "a.png"])
    predictor = Predictor(made[0], PredictionOptions(spacing_mm=(0.5, 0.2)))
    predict_to_files(predictor, targets, tmp_path / "out", formats=("nifti",))
    volume = written(tmp_path / "out", "a")
    assert volume.shape == (30, 40, 1)
    assert volume.header.get_zooms()[:2] == pytest.approx((0.2, 0.5))
    assert (int(volume.header["sform_code"]), int(volume.header["qform_code"])) == (0, 0)


def test_an_image_that_is_too_wide_for_nifti_1_is_written_as_nifti_2(
    tmp_path: Path, made: tuple[Run, nn.Module]
) -> None:
    for name, size in (("a", (40, 30)), ("high", (33_000, 1)), ("limit", (4, 32_767)), ("wide", (8, 40_000))):
        Image.fromarray(np.full(size, 90, np.uint8)).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    summary = predict_to_files(Predictor(made[0]), find_targets([tmp_path]), out, formats=("mask", "nifti"))
    assert (summary.done, summary.refused) == (4, ())
    for name, kind in (
        ("a", nib.nifti1.Nifti1Image),
        ("high", nib.nifti2.Nifti2Image),
        ("limit", nib.nifti1.Nifti1Image),
        ("wide", nib.nifti2.Nifti2Image),
    ):
        volume = nib.load(out / "nifti" / f"{name}.nii.gz")
        assert type(volume) is kind
        mask = np.asarray(Image.open(out / "masks" / f"{name}.png"))
        assert np.array_equal(np.asarray(volume.dataobj)[..., 0].T * 255, mask)
