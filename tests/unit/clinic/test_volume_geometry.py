"""The grid of a volume: which way its axes run, which slices are chosen, how large a voxel is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lexiseg.clinic.orientation import turn_to_display
from lexiseg.clinic.volume_geometry import AxisName, VolumeGrid, chosen_axis, slice_of
from refusals import refuses


def grid(affine: list[list[float]], *, placed: bool = True, spacing: bool = True) -> VolumeGrid:
    full = np.eye(4)
    full[:3, :3] = affine
    return VolumeGrid(shape=(4, 5, 6), affine=full, is_placed=placed, has_spacing=spacing)


def turned(degrees: float) -> list[list[float]]:
    """Return directions (left, back, head) turned about the axis of the body."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return [[-c, s, 0], [-s, -c, 0], [0, 0, 3]]


def test_axes_are_named_after_the_nearest_direction_of_the_body() -> None:
    assert grid([[-1, 0, 0], [0, -1, 0], [0, 0, 1]]).letters == ("L", "P", "H")
    assert grid([[1, 0, 0], [0, 1, 0], [0, 0, -1]]).letters == ("R", "A", "F")
    # A coronal volume: i to the left, j to the feet, k to the front.
    assert grid([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]).letters == ("L", "F", "A")
    assert grid(turned(30)).letters == ("L", "P", "H")
    assert grid(turned(60)).letters == ("P", "R", "H")
    assert grid(turned(30)).is_oblique
    assert not grid(turned(10)).is_oblique
    assert grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]], placed=False).letters is None


def test_each_axis_gets_another_letter_where_two_are_nearest_to_the_same_one() -> None:
    # i and j both lie nearer to the head than to anything else.
    both = [[-0.55, 0.0, 0.8], [0.0, -0.6, 0.6], [0.83, 0.8, 0.0]]
    letters = grid(both).letters
    assert letters is not None
    assert {frozenset(pair) for pair in ("LR", "AP", "HF") if set(pair) & set(letters)} == {
        frozenset("LR"),
        frozenset("AP"),
        frozenset("HF"),
    }


def chosen(grid: VolumeGrid, name: AxisName, acquired: int | None = None) -> int:
    return chosen_axis(grid, name, acquired, volume=Path("a.nii"))


def test_the_default_axis_has_the_longest_step_else_slices_are_axial() -> None:
    thick_coronal = grid([[-1, 0, 0], [0, -4, 0], [0, 0, 1]])
    assert (chosen(thick_coronal, "auto"), thick_coronal.plane(1)) == (1, "coronal")
    even_with_k_to_the_left = grid([[0, 0, -1], [1, 0, 0], [0, 1, 0]])
    assert chosen(even_with_k_to_the_left, "auto") == 1
    assert even_with_k_to_the_left.plane(1) == "axial"
    assert chosen(even_with_k_to_the_left, "auto", acquired=2) == 2
    assert chosen(even_with_k_to_the_left, "sagittal") == 2
    assert chosen(even_with_k_to_the_left, "i") == 0
    unknown = grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]], placed=False)
    assert chosen(unknown, "auto") == 2
    # One sagittal slice is a picture; its axial slices are lines.
    assert chosen(replace(unknown, is_placed=True, shape=(1, 256, 256)), "auto") == 0
    assert chosen(replace(thick_coronal, shape=(64, 64, 1)), "auto") == 2
    assert chosen(replace(thick_coronal, shape=(64, 1, 1)), "auto") == 1
    with refuses("LEX-DATA-1805", "a.nii", "voxel axis: i, j, k"):
        chosen(unknown, "coronal")
    with refuses("LEX-USE-1180", "'up'", "sagittal"):
        chosen(unknown, "up")  # type: ignore[arg-type]


def test_a_slice_has_the_later_axis_down_and_its_own_turn() -> None:
    values = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    assert np.array_equal(slice_of(values, 2, 3), values[:, :, 3].T)
    assert np.array_equal(slice_of(values, 0, 1), values[1].T)
    slice_of(values, 1, 2)[:] = -1
    assert (values[:, 2] == -1).all()
    # Axial slices of a volume that runs to right, front, head are turned upside down and mirrored.
    axial = grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]]).directions(2)
    turn = turn_to_display(axial)
    assert (turn.transpose, turn.flip_rows, turn.flip_columns) == (False, True, True)
    # Its sagittal slices: across runs to the front, which is shown on the left; down runs to the head.
    sagittal = turn_to_display(grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]]).directions(0))
    assert (sagittal.transpose, sagittal.flip_rows, sagittal.flip_columns) == (False, True, True)


def test_voxels_have_a_volume_also_where_slices_are_sheared() -> None:
    sheared = grid([[-0.5, 0, 0], [0, -0.5, 1.0], [0, 0, 2]])
    assert sheared.voxel_mm3 == pytest.approx(0.5)
    assert sheared.pixel_mm(2) == pytest.approx((0.5, 0.5))
    assert grid(turned(20)).pixel_mm(0) == pytest.approx((3.0, 1.0))
    unknown = grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]], spacing=False)
    assert unknown.voxel_mm3 is None
    assert unknown.pixel_mm(0) is None


def test_what_is_assumed_is_said() -> None:
    said = " ".join(grid(turned(30)).notes(0))
    assert "oblique" in said
    assert "not square" in said
    assert "left and right do not lie in sagittal" in said
    assert grid([[-1, 0, 0], [0, -1, 0], [0, 0, 1]]).notes(2) == ()
    assert "where the patient's left is" in grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]], placed=False).notes(2)[0]
