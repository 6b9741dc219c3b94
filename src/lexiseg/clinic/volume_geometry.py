"""The grid of a volume: where its voxels lie in the patient, and how its slices are displayed.

A volume has the voxel axes i, j and k. Its affine leads from voxels to millimetres in NIfTI's directions
(right, front, head). A slice is the plane of two voxel axes; it is named after the plane of the body that is
nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lexiseg.choices import AxisName as AxisName
from lexiseg.clinic.orientation import Directions, Letter
from lexiseg.errors import DataError, UsageError

PlaneName = Literal["axial", "coronal", "sagittal", "unknown"]

#: From DICOM's directions (left, back, head) to NIfTI's (right, front, head), and back.
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: Millimetres of the units that NIfTI has; files without a unit are in millimetres, as all programs take
#: them.
NIFTI_MILLIMETRES = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}

_VOXEL_AXES = ("i", "j", "k")
_POSITIVE: tuple[Letter, ...] = ("R", "A", "H")
_NEGATIVE: tuple[Letter, ...] = ("L", "P", "F")
_PLANES: dict[str, PlaneName] = {
    "R": "sagittal",
    "L": "sagittal",
    "A": "coronal",
    "P": "coronal",
    "H": "axial",
    "F": "axial",
}
#: Slices whose steps are longer than those in their plane by this share are taken as the acquired ones.
_COARSER = 1.1
#: Smallest cosine between a voxel axis and an axis of the body that does not count as oblique: 18 degrees.
_ALONG_BODY = 0.95
_OBLIQUE = (
    "The volume lies oblique to the body; its slices are those of the voxel grid, named after the nearest "
    "plane of the body."
)
_UNKNOWN = (
    "The volume does not say where the patient's left is; its slices are read as they are stored, and the "
    "side of their words is unknown."
)
_ANIMAL = (
    "shows an animal on four feet (AnatomicalOrientationType), whose directions are not those of a human"
)
_QUADRUPED = (
    f"The volume {_ANIMAL}; its slices are read as they are stored, and the side of their words is unknown."
)
_NO_SIDES = "The patient's left and right do not lie in sagittal slices; the side of their words is unknown."
_UNEVEN = "Pixels of the slices are not square; shapes are measured as if they were."


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeGrid:
    """The voxel grid of a volume.

    Attributes:
        shape: Number of voxels along i, j and k.
        affine: `(4, 4)` float64, from (i, j, k, 1) to millimetres in NIfTI's directions (right, front, head).
        is_placed: Whether the affine says where the patient's left, front and head are.
        has_spacing: Whether the steps of the affine are millimetres.
        is_quadruped: Whether it shows an animal on four feet, whose directions are not those of humans; it is
            then not placed.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]
    is_placed: bool
    has_spacing: bool
    is_quadruped: bool = False

    @property
    def steps_mm(self) -> tuple[float, float, float]:
        """The distance of neighbours along i, j and k."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel_mm3(self) -> float | None:
        """The volume of a voxel; None where no millimetres are known."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) if self.has_spacing else None

    @cached_property
    def letters(self) -> tuple[Letter, Letter, Letter] | None:
        """The directions of the body that are nearest to i, j and k; None where they are not known."""
        if not self.is_placed:
            return None
        cosines = self._cosines
        best = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order, range(3)])))
        i, j, k = (
            _POSITIVE[body] if cosines[body, voxel] > 0 else _NEGATIVE[body]
            for voxel, body in enumerate(best)
        )
        return i, j, k

    @property
    def is_oblique(self) -> bool:
        """Whether the voxel axes differ clearly from those of the body."""
        return self.is_placed and bool((abs(self._cosines).max(axis=0) < _ALONG_BODY).any())

    @property
    def _cosines(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    def plane(self, axis: int) -> PlaneName:
        """Return the plane of the body that is nearest to the slices along a voxel axis."""
        return "unknown" if self.letters is None else _PLANES[self.letters[axis]]

    def directions(self, axis: int) -> Directions | None:
        """Return the directions of a slice as `slice_of` gives it; None where they are not known."""
        if self.letters is None:
            return None
        across, down = in_plane(axis)
        return Directions(row=self.letters[across], column=self.letters[down])

    def pixel_mm(self, axis: int) -> tuple[float, float] | None:
        """Return height and width of a pixel of a slice; None where no millimetres are known."""
        across, down = in_plane(axis)
        return (self.steps_mm[down], self.steps_mm[across]) if self.has_spacing else None

    def notes(self, axis: int) -> tuple[str, ...]:
        """Return what is assumed of the slices along an axis, one sentence each."""
        across, down = in_plane(axis)
        width, height = self.steps_mm[across], self.steps_mm[down]
        said = (
            (_QUADRUPED, self.is_quadruped),
            (_UNKNOWN, not self.is_placed and not self.is_quadruped),
            (_OBLIQUE, self.is_oblique),
            (_NO_SIDES, self.plane(axis) == "sagittal"),
            (_UNEVEN, self.has_spacing and abs(width / height - 1) > 0.01),
        )
        return tuple(sentence for sentence, holds in said if holds)


def in_plane(axis: int) -> tuple[int, int]:
    """Return the voxel axes across and down a slice: the two others, the first one across."""
    across, down = (other for other in range(3) if other != axis)
    return across, down


def slice_of(values: npt.NDArray[Any], axis: int, index: int) -> npt.NDArray[Any]:
    """Return one slice of a volume, `(down, across)`; a view that can be written to.

    Args:
        values: `(I, J, K)`.
        axis: The voxel axis along which slices are counted, 0 to 2.
        index: Number of the slice, from 0.
    """
    place: list[Any] = [slice(None)] * 3
    place[axis] = index
    return np.asarray(values[tuple(place)]).T


def chosen_axis(grid: VolumeGrid, name: AxisName, acquired: int | None = None, *, volume: Path) -> int:
    """Return the voxel axis along which slices are counted.

    Args:
        grid: The grid.
        name: The value of the option `axis`. "auto" takes the acquired slices; where they are not stated, the
            only slice of a volume that has one; else those along the axis with the longest step, as slices
            are usually thicker than their pixels; else axial slices.
        acquired: The axis of the acquired slices, where the volume states it.
        volume: The file or folder of the volume, for the message.

    Raises:
        UsageError: There is no such name.
        DataError: The volume does not state where the planes of the body are, or shows an animal on four
            feet.
    """
    if name not in get_args(AxisName):
        raise UsageError(
            f"The option 'axis' is {name!r}; expected one of {', '.join(get_args(AxisName))}.",
            code="LEX-USE-1180",
        )
    if name in _VOXEL_AXES:
        return _VOXEL_AXES.index(name)
    planes = [grid.plane(axis) for axis in range(3)]
    if name != "auto":
        if name not in planes:
            unplaced = "does not say where the patient's head, front and left are"
            why = _ANIMAL if grid.is_quadruped else unplaced
            raise DataError(
                f"The option 'axis' is {name}, but {volume} {why}. Choose a voxel axis: "
                f"{', '.join(_VOXEL_AXES)}.",
                code="LEX-DATA-1805",
            )
        return planes.index(name)
    if acquired is not None:
        return acquired
    single = [axis for axis, count in enumerate(grid.shape) if count == 1]
    if len(single) == 1:
        return single[0]
    steps = grid.steps_mm
    longest = int(np.argmax(steps))
    if all(steps[longest] >= _COARSER * steps[other] for other in in_plane(longest)):
        return longest
    return planes.index("axial") if "axial" in planes else 2
