"""NIfTI, MetaImage and NRRD files: their grids, their grey values, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from lexiseg.clinic.view import View, Window
from lexiseg.data.volumes import volume
from lexiseg.data.volumes.grey_range import own_range
from lexiseg.data.volumes.volume_names import is_volume_file, volume_stem
from lexiseg.data.volumes.voxel_file import open_volume_file, read_stored
from refusals import refuses
from volume_files import STEPS, body, nifti, stored

AFFINE = stored(body(), (0, 1, 2), (1, 1, 1))[1]


def itk(path: Path, values: Any) -> Path:
    """Write a file with SimpleITK, with the place of the body: identity directions are left, back, head."""
    image = SimpleITK.GetImageFromArray(values.T)
    image.SetSpacing(STEPS)
    image.SetOrigin((3.0, -40.0, -100.0))
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return path


@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nrrd"])
def test_other_formats_have_the_grid_of_the_nifti_file(tmp_path: Path, ending: str) -> None:
    values = body().astype(np.int16) - 100
    expected = read_stored(nifti(tmp_path / "a.nii.gz", values, AFFINE))
    found = read_stored(itk(tmp_path / f"a{ending}", values))
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.values, values)
    assert found.grid.affine == pytest.approx(expected.grid.affine)
    assert found.grid.letters == expected.grid.letters == ("L", "P", "H")
    assert found.grid.has_spacing


def test_files_without_directions_do_not_know_the_left(tmp_path: Path) -> None:
    path = itk(tmp_path / "a.mha", body())
    content = path.read_bytes()
    line = next(line for line in content.split(b"\n") if line.startswith(b"TransformMatrix"))
    path.write_bytes(content.replace(line + b"\n", b""))
    assert not read_stored(path).grid.is_placed
    path = itk(tmp_path / "b.nrrd", body())
    head, _, data = path.read_bytes().partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if not line.startswith((b"space:", b"space dir", b"space or"))]
    path.write_bytes(b"\n".join([*kept, b"spacings: 0.5 0.75 2"]) + b"\n\n" + data)
    found = read_stored(path).grid
    assert not found.is_placed
    assert found.has_spacing
    assert found.steps_mm == pytest.approx(STEPS)
    bare = read_stored(nifti(tmp_path / "c.nii", body(), AFFINE, code=0)).grid
    assert not bare.is_placed


def test_slope_intercept_and_unit_of_nifti_are_used(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nibabel.nifti1.Nifti1Image(values, np.diag([0.002] * 3 + [1]))
    image.header.set_slope_inter(2, -10)
    image.header.set_xyzt_units("meter")
    image.to_filename(tmp_path / "a.nii")
    found = read_stored(tmp_path / "a.nii")
    assert found.grid.steps_mm == pytest.approx((2, 2, 2))
    read = nibabel.nifti1.load(tmp_path / "a.nii").get_fdata()
    assert np.array_equal(found.scaled(found.values), read)


def test_all_slices_share_one_range(tmp_path: Path) -> None:
    values = np.zeros((20, 20, 5), np.int16)
    values[:, :, 1] = 1000
    values[:, :, 3] = 500
    found = open_volume_file(nifti(tmp_path / "a.nii.gz", values, AFFINE))
    slices = found.slices(2)
    assert [int(slices.read(k).pixels[0, 0, 0]) for k in range(5)] == [0, 255, 0, 128, 0]
    facts = slices.read(3).facts
    assert facts is not None
    assert facts.shown == "range 0 to 1000 of the volume"
    assert "percentile of the whole volume" in facts.assumptions[0]
    assert facts.spacing.body_mm == pytest.approx((0.75, 0.5))


def test_a_window_is_that_of_dicom(tmp_path: Path) -> None:
    values = np.arange(-200, 200, dtype=np.int16).reshape(20, 20, 1)
    path = nifti(tmp_path / "a.nii", values, AFFINE)
    slices = open_volume_file(path, View(window=Window(center=40, width=101))).slices(2)
    grey = slices.read(0).pixels[..., 0]
    # LINEAR: black up to 40 - 0.5 - 50 = -10.5, white from 89.5 on.
    expected = np.rint(np.clip((values[:, :, 0].T + 10.5) / 100, 0, 1) * 255)
    assert np.array_equal(grey, expected)
    facts = slices.read(0).facts
    assert facts is not None
    assert facts.shown == "window 40, 101, chosen"


def test_bytes_stay_and_nan_is_black(tmp_path: Path) -> None:
    slices = open_volume_file(nifti(tmp_path / "a.nii", body(), AFFINE)).slices(2)
    assert np.array_equal(slices.read(1).pixels[..., 0], body()[:, :, 1].T)
    values = np.full((4, 4, 2), 7, np.float32)
    values[0, 0, 0], values[1, 1, 0] = np.nan, 9
    shown = open_volume_file(nifti(tmp_path / "b.nii", values, AFFINE)).slices(2).read(0)
    assert shown.pixels[0, 0, 0] == 0
    assert shown.pixels[1, 1, 0] == 255
    assert own_range([np.array([np.nan])], View()).grey(np.array([[3.0]])).tolist() == [[0]]


def test_what_is_no_grey_volume_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refuses("LEX-DATA-1192", "no.nii does not exist"):
        open_volume_file(tmp_path / "no.nii")
    (tmp_path / "text.nii").write_text("no NIfTI")
    with refuses("LEX-DATA-074", "text.nii", "NIfTI"):
        open_volume_file(tmp_path / "text.nii")
    with refuses("LEX-DATA-075", "4 x 4 x 2 x 3 voxels", "time point"):
        open_volume_file(nifti(tmp_path / "time.nii", np.zeros((4, 4, 2, 3), np.uint8), AFFINE))
    with refuses("LEX-DATA-1196", "complex64"):
        open_volume_file(nifti(tmp_path / "complex.nii", np.zeros((4, 4, 2), np.complex64), AFFINE))
    whole = nifti(tmp_path / "cut.nii.gz", np.arange(4096, dtype=np.int32).reshape(16, 16, 16), AFFINE)
    whole.write_bytes(whole.read_bytes()[:-600])
    with refuses("LEX-DATA-074", "cut.nii.gz"):
        open_volume_file(whole)
    for ending, kind in ((".mha", "MetaImage"), (".nrrd", "NRRD")):
        (tmp_path / f"text{ending}").write_text("no volume")
        with refuses("LEX-DATA-1199", f"text{ending}", kind):
            open_volume_file(tmp_path / f"text{ending}")
    itk(tmp_path / "a.mhd", body())
    (tmp_path / "a.zraw").unlink()
    with refuses("LEX-DATA-1199", "a.mhd", "data file"):
        open_volume_file(tmp_path / "a.mhd")
    colours = SimpleITK.GetImageFromArray(np.zeros((2, 4, 4, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(colours, str(tmp_path / "rgb.mha"))
    with refuses("LEX-DATA-1198", "3 numbers"):
        open_volume_file(tmp_path / "rgb.mha")
    large = [nifti(tmp_path / "b.nii.gz", body(), AFFINE), itk(tmp_path / "b.nrrd", body())]
    monkeypatch.setattr(volume, "LARGEST_VOLUME", 100)
    for path in large:
        with refuses("LEX-DATA-1190", "12 x 10 x 8 voxels", "limit of 100"):
            open_volume_file(path)


def test_names_of_volumes() -> None:
    names = ("a.nii.gz", "a.b.NII", "c.mha", "d.png")
    assert [volume_stem(name) for name in names] == ["a", "a.b", "c", "d.png"]
    assert is_volume_file(Path("x/A.NII.GZ"))
    assert not is_volume_file(Path("x/a.gz"))
