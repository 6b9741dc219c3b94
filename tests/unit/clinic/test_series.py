"""DICOM series: sorted by position, and refused where their slices form no volume."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import dicom_file, ramp, shipped
from lexiseg.clinic.series import Series, group_series, series_volume, slice_headers
from lexiseg.clinic.volume_geometry import chosen_axis
from lexiseg.data.volumes import series_slices, volume
from refusals import refuses
from volume_files import STEPS, ct_series


def change(path: Path, **values: Any) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def series_of(folder: Path) -> Series:
    (group,) = group_series(header for path in sorted(folder.iterdir()) for header in slice_headers(path))
    return series_volume(group, folder)


def test_slices_are_sorted_by_position_whatever_their_names_say(tmp_path: Path) -> None:
    files = ct_series(tmp_path / "ct")
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    for place, k in enumerate(order):
        shutil.move(files[k], tmp_path / "ct" / f"IM{place:04d}")
    found = series_of(tmp_path / "ct")
    assert [header.instance for header in found.slices] == [f"2.25.1000{k + 1}" for k in range(8)]
    assert found.grid.shape == (12, 10, 8)
    assert found.grid.letters == ("L", "P", "H")
    assert found.grid.steps_mm == pytest.approx(STEPS)
    # The first voxel, in NIfTI's directions.
    assert found.grid.affine[:3, 3] == pytest.approx([-3, 40, -100])


def test_a_series_of_an_animal_on_four_feet_has_no_sides_of_a_human(tmp_path: Path) -> None:
    files = ct_series(tmp_path)
    change(files[4], AnatomicalOrientationType="QUADRUPED")
    grid = series_of(tmp_path).grid
    assert not grid.is_placed
    assert grid.letters is None
    assert {grid.plane(axis) for axis in range(3)} == {"unknown"}
    assert grid.voxel_mm3 == pytest.approx(np.prod(STEPS))
    said = " ".join(grid.notes(0))
    assert "shows an animal on four feet (AnatomicalOrientationType)" in said
    assert "does not say where" not in said
    with refuses("LEX-DATA-1805", "axial", f"{tmp_path} shows an animal on four feet", "voxel axis: i, j, k"):
        chosen_axis(grid, "axial", volume=tmp_path)


def test_a_series_from_the_head_down_keeps_its_normal(tmp_path: Path) -> None:
    """With negated cosines the normal points the other way, and the order of slices follows it."""
    ct_series(tmp_path, ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])
    found = series_of(tmp_path)
    assert found.grid.letters == ("R", "P", "F")
    assert [header.position[2] for header in found.slices] == sorted(
        (header.position[2] for header in found.slices), reverse=True
    )
    assert np.linalg.det(found.grid.affine[:3, :3]) > 0


def test_a_tilted_gantry_is_a_sheared_grid(tmp_path: Path) -> None:
    for k, path in enumerate(ct_series(tmp_path)):
        change(path, ImagePositionPatient=[3.0, -40.0 + 0.5 * k, -100.0 + 2.0 * k])
    found = series_of(tmp_path)
    assert found.grid.affine[:3, 2] == pytest.approx([0, -0.5, 2])
    assert found.grid.voxel_mm3 == pytest.approx(0.5 * 0.75 * 2)


def missing(files: list[Path]) -> None:
    files[3].unlink()
    files[4].unlink()


REFUSED: list[tuple[Callable[[list[Path]], object], str, tuple[str, ...]]] = [
    (missing, "LEX-DATA-1186", ("2 slices are missing", "s02.dcm and s05.dcm", "6.00 mm instead of 2.00")),
    (
        lambda f: change(f[3], ImagePositionPatient=[3.0, -40.0, -96.0]),
        "LEX-DATA-1185",
        ("1 slice ", "s02.dcm and s03.dcm", "single slices"),
    ),
    (lambda f: change(f[3], SOPInstanceUID="2.25.10003"), "LEX-DATA-1181", ("s03.dcm", "same SOP instance")),
    (
        lambda f: change(f[0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
        "LEX-DATA-1184",
        ("differ in orientation: 7 of 8 lie in another direction than s00.dcm, such as s01.dcm",),
    ),
    (
        lambda f: change(f[2], PixelSpacing=[0.75, 0.6]),
        "LEX-DATA-1182",
        ("pixel spacing", "7 of 8 have 0.750 x 0.500 mm, s02.dcm has 0.750 x 0.600"),
    ),
    (lambda f: change(f[2], FrameOfReferenceUID="2.25.78"), "LEX-DATA-1182", ("frame of reference",)),
    (
        lambda f: change(f[2], ImagePositionPatient=None),
        "LEX-DATA-1180",
        ("1 of 8 slices", "the first of them s02.dcm"),
    ),
    (
        lambda f: [change(p, ImageOrientationPatient=[1, 0, 0, 0.8, 0.6, 0]) for p in f],
        "LEX-DATA-1183",
        ("right angles",),
    ),
    (
        lambda f: change(f[3], ImagePositionPatient=[3.0, -40.0, -93.3]),
        "LEX-DATA-1187",
        ("even grid", "0.70 mm"),
    ),
]


@pytest.mark.parametrize(
    ("spoil", "code", "words"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_slices_that_form_no_volume_are_refused(
    tmp_path: Path, spoil: Callable[[list[Path]], object], code: str, words: tuple[str, ...]
) -> None:
    spoil(ct_series(tmp_path))
    with refuses(code, str(tmp_path), *words):
        series_of(tmp_path)


def test_slices_of_other_sizes_are_refused(tmp_path: Path) -> None:
    files = ct_series(tmp_path)
    dataset = pydicom.dcmread(files[1])
    dataset.set_pixel_data(np.zeros((6, 6), np.uint16), "MONOCHROME2", 16, generate_instance_uid=False)
    dataset.save_as(files[1])
    with refuses("LEX-DATA-1182", "size", "7 of 8 have 12 x 10 pixels, s01.dcm has 6 x 6 pixels"):
        series_of(tmp_path)


def test_radiographs_single_slices_and_captures_are_no_series(tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")
    for number in (21, 22):
        dicom_file(tmp_path / f"cr{number}.dcm", ramp(), number=number, SeriesInstanceUID="2.25.3")
        # A dose page, say: of a modality of sections, but without a place.
        dicom_file(
            tmp_path / f"page{number}.dcm", ramp(), modality="CT", number=number, SeriesInstanceUID="2.25.4"
        )
    dicom_file(tmp_path / "scout.dcm", ramp(), modality="CT", number=30, SeriesInstanceUID="2.25.5")
    (tmp_path / "note.txt").write_text("no DICOM")
    groups = group_series(
        header for path in sorted(tmp_path.rglob("*")) if path.is_file() for header in slice_headers(path)
    )
    assert [len(group) for group in groups] == [8]


def test_a_file_of_several_frames_is_a_series_of_its_own() -> None:
    path = shipped("eCT_Supplemental.dcm")
    (group,) = group_series(slice_headers(path))
    assert [header.frame for header in group] == [0, 1]
    assert {header.path for header in group} == {path}
    assert all(len(header.position) == 3 and len(header.spacing_mm) == 2 for header in group)


def test_too_large_a_series_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = tuple(header for path in ct_series(tmp_path) for header in slice_headers(path))
    monkeypatch.setattr(volume, "LARGEST_VOLUME", 12 * 10 * 8 - 1)
    with refuses("LEX-DATA-1190", "12 x 10 x 8 voxels", "limit of 959"):
        series_slices.open_series(headers, tmp_path)


def test_a_file_that_cannot_hold_its_frames_is_no_series(tmp_path: Path) -> None:
    path = dicom_file(tmp_path / "a.dcm", ramp(), modality="CT")
    change(path, NumberOfFrames=2**31 - 1)
    assert slice_headers(path) == ()
    change(path, NumberOfFrames=3)
    assert len(slice_headers(path)) == 3
