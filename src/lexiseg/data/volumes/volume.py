"""What a volume is: a voxel grid, and slices along one of its axes as decoded images."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lexiseg.clinic.facts import NO_AREA, ImageFacts, PixelSpacing
from lexiseg.clinic.orientation import turn_to_display
from lexiseg.clinic.volume_geometry import VolumeGrid
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import DataError

#: Largest number of voxels of a volume that is read: 1024 x 1024 x 1024.
LARGEST_VOLUME = 2**30

NO_SPACING = "the volume does not say that its voxel size is in millimetres"


class Slices(Protocol):
    """The slices of a volume along one voxel axis, in which `read` may be called by several threads."""

    def __len__(self) -> int:
        """Return the number of slices."""
        ...

    def read(self, index: int) -> DecodedImage:
        """Return one slice; its pixels are `(down, across)` as `volume_geometry.slice_of` gives them.

        Raises:
            DataError: It cannot be decoded.
        """
        ...


class Volume(Protocol):
    """An opened volume."""

    @property
    def path(self) -> Path:
        """Its file, or the folder of its series."""
        ...

    @property
    def kind(self) -> str:
        """What it is, such as "NIfTI"."""
        ...

    @property
    def grid(self) -> VolumeGrid:
        """Its voxel grid."""
        ...

    @property
    def acquired_axis(self) -> int | None:
        """The voxel axis of the acquired slices; None where it is not known."""
        ...

    def slice_files(self, axis: int) -> tuple[Path, ...]:
        """Return the file of each slice along a voxel axis; empty where slices have no file of their own."""
        ...

    def slices(self, axis: int) -> Slices:
        """Return the slices along a voxel axis.

        Raises:
            DataError: The volume cannot be decoded.
        """
        ...


def slice_facts(
    grid: VolumeGrid, axis: int, index: int, *, modality: str, shown: str, assumptions: tuple[str, ...]
) -> ImageFacts:
    """Return what a volume says about one of its slices.

    Args:
        grid: The voxel grid.
        axis: The voxel axis along which slices are counted.
        index: Number of the slice, from 0.
        modality: Such as "CT"; empty where it is not known.
        shown: How its values become grey values.
        assumptions: What was assumed besides what the grid assumes.
    """
    directions, pixel_mm = grid.directions(axis), grid.pixel_mm(axis)
    spacing = (
        PixelSpacing(mm=None, origin="none", reason=NO_SPACING)
        if pixel_mm is None
        else PixelSpacing(mm=pixel_mm, origin="body")
    )
    notes = (*assumptions, *grid.notes(axis), *((f"{NO_AREA}{NO_SPACING}.",) if pixel_mm is None else ()))
    return ImageFacts(
        modality=modality,
        frame=index + 1,
        directions=directions,
        turn=turn_to_display(directions),
        spacing=spacing,
        shown=shown,
        assumptions=notes,
    )


def check_size(shape: tuple[int, ...], path: Path) -> None:
    """Refuse a volume that declares too many voxels, before they are read.

    Raises:
        DataError: It has more than `LARGEST_VOLUME` voxels.
    """
    count = 1
    for length in shape:
        count *= int(length)
    if count > LARGEST_VOLUME:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} voxels, above the limit of {LARGEST_VOLUME:,}. "
            "Cut it into parts, or resample it, and predict those.",
            code="LEX-DATA-1190",
        )


def three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the voxels along i, j and k of a shape of two or three lengths."""
    i, j, k = (*shape, 1)[:3]
    return i, j, k
