"""Pictures of volumes: the slice with the largest area, as a radiologist sees it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lexiseg.clinic.orientation import Directions, turn_to_display
from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.volumes.voxel_file import open_volume_file
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes import pictures
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.contact_sheet import (
    MOST_SLICES,
    PicturedSlice,
    contact_sheet,
    pictured_indices,
    pictured_slices,
    sheet_title,
)
from lexiseg.inference.volumes.picture_writers import OverlayVolumeWriter
from lexiseg.inference.volumes.pictures import place_of, slice_picture
from lexiseg.inference.volumes.prediction import predict_volume
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.inference.volumes.volume_writer import PredictedVolume
from lexiseg.runs.run import Run
from volume_files import ORIENTATIONS, UpperRight, body, nifti, spoken, stored

PREDICTOR = cast(Predictor, UpperRight())


def overlay(path: Path, out: Path, axis: AxisName) -> Image.Image:
    volume = open_volume_file(path)
    prediction = predict_volume(PREDICTOR, volume, axis=axis)
    predicted = PredictedVolume(name=Path("a"), prediction=prediction, volume=volume, predictor=PREDICTOR)
    OverlayVolumeWriter().save(predicted, out)
    return Image.open(out).convert("RGB")


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_pictures_do_not_depend_on_how_a_volume_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: AxisName
) -> None:
    # Without its place, which names the voxel axis and the number of the slice on the stored grid.
    monkeypatch.setattr("lexiseg.inference.volumes.picture_writers.place_of", lambda *a, **k: "place")
    values = body()
    # Larger blocks at the patient's left, at the front and at the head, so that one slice is the largest.
    values[8, 2:4, 6] = values[9:11, 1, 6] = values[9:11, 8, 6] = values[9, 6, 6] = 200
    seen = []
    for number, (order, signs) in enumerate(ORIENTATIONS[::7]):
        moved, affine = stored(values, order, signs)
        path = nifti(tmp_path / f"{number}.nii", moved, affine)
        seen.append(np.asarray(overlay(path, tmp_path / "a.png", axis)))
    for picture in seen[1:]:
        assert np.array_equal(picture, seen[0])


def test_the_outline_lies_in_the_upper_right_and_the_body_has_its_proportions(tmp_path: Path) -> None:
    values, affine = stored(body(), *ORIENTATIONS[0])
    picture = overlay(nifti(tmp_path / "a.nii", values, affine), tmp_path / "a.png", "coronal")
    pixels = np.asarray(picture).astype(int)
    colour = np.array([int(PREDICTED_COLOUR[i : i + 2], 16) for i in (1, 3, 5)])
    rows, columns = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 30)
    assert rows.size
    assert rows.max() < picture.height / 2
    assert columns.min() > picture.width / 2
    # Two strips of text for letters of 18 pixels, of which 50 fit into 512. Between them the body: twelve
    # voxels of 0.5 mm across and eight of 2 mm from head to feet are 6 x 16 mm, 192 x 512 pixels in the
    # middle.
    assert picture.size == (512, 512 + 2 * round(18 * 1.6))
    drawn = np.nonzero(pixels[100:400].sum(axis=(0, 2)))[0]
    assert (drawn.min(), drawn.max()) == (160, 351)


def test_pictures_say_which_slice_they_show() -> None:
    assert place_of("axial", 7, 40, axis=2, lesion=True) == "Axial slice 7 of 40 (k): largest area of lesions"
    assert place_of("unknown", 3, 5, axis=0, lesion=False) == (
        "Slice 3 of 5 (i): no lesion found, the middle slice"
    )


def test_sides_without_known_directions_have_no_letters(tmp_path: Path) -> None:
    letters = []

    def note(picture: Image.Image, directions: Directions | None) -> None:
        letters.append(directions)

    for code in (0, 1):
        volume = open_volume_file(
            nifti(tmp_path / f"{code}.nii", body(), np.diag([-1.0, -1, 1, 1]), code=code)
        )
        shown = predict_volume(PREDICTOR, volume).shown
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pictures, "_write_directions", note)
            slice_picture(shown.image, shown.mask, "place")
    assert letters == [None, Directions(row="L", column="P")]


def test_a_turned_image_states_the_usual_directions() -> None:
    for row, column in product("LRAPHF", repeat=2):
        directions = Directions(row=cast(Any, row), column=cast(Any, column))
        if {row, column} in ({"L", "R"}, {"A", "P"}, {"H", "F"}) or row == column:
            continue
        shown = turn_to_display(directions).directions(directions)
        assert turn_to_display(shown).is_none
    assert turn_to_display(None).directions(None) is None


def test_the_card_is_that_of_the_slice(
    tmp_path: Path, made: tuple[Run, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(made[0], PredictionOptions(batch_size=3))
    monkeypatch.setattr(predictor, "predict_decoded", spoken)
    values, affine = stored(body(), *ORIENTATIONS[0])
    nifti(tmp_path / "in.nii", values, affine)
    summary = predict_volumes_to_files(
        predictor, find_volumes([tmp_path / "in.nii"]).targets, tmp_path / "out", formats=["card", "overlay"]
    )
    assert summary.refused == ()
    page = (tmp_path / "out" / "cards" / "in.html").read_text()
    assert "Axial slice 2 of 8 (k): largest area of lesions." in page
    assert "The whole volume: lesion: 8 voxels, 6.0 mm3." in page
    assert "left is on the right of the pictures." in page
    assert "6 of 8 slices are flagged." in page
    # Slices 2 and 7 hold a lesion; their areas are equal.
    assert page.count("<h2>Slices of the volume</h2>") == 1
    assert "The labels of the volume, outlined in orange." in page
    assert 'alt="Slices 2, 7 of 8 with the outlines of the labels."' in page
    # Both are known as outputs, so a second prediction takes neither for an input.
    assert [target.path.name for target in find_volumes([tmp_path], out=tmp_path / "out").targets] == [
        "in.nii"
    ]


def areas_along_k(*areas: int) -> np.ndarray:
    """Return a label volume whose slices along k have these areas."""
    labels = np.zeros((20, 3, len(areas)), np.uint8)
    for k, area in enumerate(areas):
        labels[:area, 1, k] = 1
    return labels


def test_a_sheet_shows_the_largest_area_first_and_then_evenly_spaced_slices() -> None:
    assert pictured_indices(areas_along_k(0, 1, 3, 0, 2, 0), 2) == (2, 1, 4)
    # Of equal areas the first; along another axis the same labels have other areas.
    assert pictured_indices(areas_along_k(2, 2), 2) == (0, 1)
    assert pictured_indices(areas_along_k(2, 2), 1) == (1,)
    # 17 slices with a lesion: every second one; the first of the nearest gives way to the largest.
    assert pictured_indices(areas_along_k(0, *[1] * 5, 9, *[1] * 11), 2) == (6, 1, 3, 7, 9, 11, 13, 15, 17)
    # No lesion: the middle slice, then slices of the whole volume.
    assert pictured_indices(areas_along_k(*[0] * 4), 2) == (2, 0, 1, 3)
    assert pictured_indices(areas_along_k(*[0] * 17), 2) == (8, 0, 2, 4, 6, 10, 12, 14, 16)


@pytest.mark.parametrize("count", [1, 8, 9, 10, 57])
def test_a_sheet_never_shows_more_slices_than_its_limit(count: int) -> None:
    labels = areas_along_k(*[1] * count)
    labels[:4, 2, count // 3] = 1
    shown = pictured_indices(labels, 2)
    assert len(shown) == len(set(shown)) == min(count, MOST_SLICES)
    assert shown[0] == count // 3
    assert list(shown[1:]) == sorted(shown[1:])


def test_a_sheet_has_each_slice_with_its_number_and_its_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, affine = stored(body(), *ORIENTATIONS[0])
    values[:, :, 3] = values[:, :, 1]
    volume = open_volume_file(nifti(tmp_path / "a.nii", values, affine))
    found = predict_volume(PREDICTOR, volume)
    pictured = pictured_slices(found.labels, found.axis, found.images)
    lines, sides = [], []
    between, write = pictures.between_lines, pictures._write_directions

    def note_lines(picture: Image.Image, *texts: str, **sizes: Any) -> Image.Image:
        lines.append(texts)
        return between(picture, *texts, **sizes)

    def note_sides(picture: Image.Image, directions: Directions | None) -> None:
        sides.append(directions)
        write(picture, directions)

    monkeypatch.setattr("lexiseg.inference.volumes.contact_sheet.between_lines", note_lines)
    monkeypatch.setattr(pictures, "_write_directions", note_sides)
    sheet = contact_sheet(pictured, found.plane, len(found.slices), axis=found.axis, side=120)
    assert lines == [
        ("Slice 2 of 8",),
        ("Slice 4 of 8",),
        ("Slice 7 of 8",),
        ("Axial slices (k) with lesions: largest area first", "Research use only. Not for diagnosis."),
    ]
    assert sides == [Directions(row="L", column="P")] * 3
    # Two rows of two: a cell is as wide as its slice, 12 x 0.5 mm of 10 x 0.75 mm, with a gap of 4 pixels.
    assert sheet.width == 512
    pixels = np.asarray(sheet).astype(int)
    colour = np.array([int(PREDICTED_COLOUR[i : i + 2], 16) for i in (1, 3, 5)])
    rows, columns = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 30)
    middle = 512 // 2
    upper = rows < rows.mean()
    # An outline in each cell of the upper row, and one in the left cell of the lower row.
    assert {True, False} == set((columns[upper] < middle).tolist())
    assert {True} == set((columns[rows > sheet.height // 2] < middle).tolist())


def test_a_single_slice_with_a_lesion_gets_a_picture_of_its_own(tmp_path: Path) -> None:
    values, affine = stored(body(), *ORIENTATIONS[0])
    values[:, :, 6] = 10
    volume = open_volume_file(nifti(tmp_path / "a.nii", values, affine))
    found = predict_volume(PREDICTOR, volume)
    (only,) = pictured_slices(found.labels, found.axis, found.images)
    assert isinstance(only, PicturedSlice)
    sheet = contact_sheet((only,), found.plane, 8, axis=2)
    place = place_of("axial", 2, 8, axis=2, lesion=True)
    assert np.array_equal(np.asarray(sheet), np.asarray(slice_picture(only.image, only.labels, place)))


def test_the_title_of_a_sheet_says_what_its_slices_are() -> None:
    assert sheet_title("coronal", axis=1, lesion=True) == (
        "Coronal slices (j) with lesions: largest area first"
    )
    assert sheet_title("unknown", axis=0, lesion=False) == ("Slices (i): no lesion found, middle slice first")
