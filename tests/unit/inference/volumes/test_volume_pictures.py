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
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.overlay import PREDICTED_COLOUR
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes import pictures
from lexiseg.inference.volumes.batch import predict_volumes_to_files
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
    # Both are known as outputs, so a second prediction takes neither for an input.
    assert [target.path.name for target in find_volumes([tmp_path], out=tmp_path / "out").targets] == [
        "in.nii"
    ]
