"""Slices of volume files as images of a data set: each has a path of its own below its volume.

`images/a.nii.gz/a_k012.png` is slice 12 of the volume `images/a.nii.gz`, and
`masks/a.nii.gz/a_k012_label.png` that of its label map. There are no such files:
`lexiseg.data.content.read_content` returns the slice as PNG, in the orientation in which a radiologist sees
it.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.orientation import turn_to_display
from lexiseg.clinic.volume_geometry import VolumeGrid, chosen_axis, slice_of
from lexiseg.data.volumes.volume_names import LABELS_ENDING, is_volume_file
from lexiseg.data.volumes.voxel_file import StoredVoxels, VoxelSlices, open_volume_file, read_grid
from lexiseg.errors import DataError
from lexiseg.printable import counted

_NAME = re.compile(r"_[ijk]([0-9]+)(_label)?\.png$")
_LARGEST_LABEL = 2**16 - 1
# Labels that a program scaled to stored numbers lie less than a step beside theirs; of large steps, this far.
_LARGEST_ROUNDING = 0.01
# Two volumes and their label maps.
_KEPT_OPEN = 4
_KEPT_GRIDS = 256
_opening = Lock()


def is_slice(path: Path) -> bool:
    """Return whether a path is that of a slice of a volume file."""
    return is_volume_file(path.parent) and _NAME.search(path.name) is not None


def name_of_volume(path: Path) -> str:
    """Return what the names of the slices of a volume begin with, from the path of one."""
    return _NAME.sub("", path.name)


def slice_paths(volume: Path, name: str, *, labels: bool = False) -> list[Path]:
    """Return the paths of the slices of a volume, along the axis that `--axis auto` chooses.

    Args:
        volume: The file; only its header is read.
        name: What the names of the slices begin with.
        labels: Whether it is a label map.

    Raises:
        DataError: The header cannot be read.
    """
    grid = read_grid(volume)
    axis = chosen_axis(grid, "auto", volume=volume)
    ending = LABELS_ENDING if labels else ".png"
    digits = max(3, len(str(grid.shape[axis] - 1)))
    return [volume / f"{name}_{'ijk'[axis]}{k:0{digits}d}{ending}" for k in range(grid.shape[axis])]


def differing_grid(image: Path, labels: Path) -> str | None:
    """Return how the grids of a volume and its label map differ; None if they are the same.

    Raises:
        DataError: A header cannot be read.
    """
    one, other = read_grid(image), read_grid(labels)
    if one.shape != other.shape:
        return f"{_voxels(one)} and {_voxels(other)} voxels"
    if one.is_placed != other.is_placed or not np.allclose(one.affine, other.affine, atol=1e-2):
        return "another place, orientation or voxel size in the patient (affine)"
    return None


def slice_spacing(path: Path) -> tuple[float, float] | None:
    """Return height and width of a pixel of a slice as it is displayed; None where it is not known."""
    grid = _grid(path.parent, path.parent.stat().st_mtime_ns)
    axis = _place(path)[0]
    mm = grid.pixel_mm(axis)
    if mm is None:
        return None
    return (mm[1], mm[0]) if turn_to_display(grid.directions(axis)).transpose else mm


def slice_content(path: Path) -> bytes:
    """Return a slice as PNG: grey values of 8 bits, or labels as they are.

    Raises:
        DataError: The volume cannot be read, or its labels are no whole numbers from 0 to 65535.
    """
    axis, index, is_label = _place(path)
    stat = path.parent.stat()
    # Opened by one thread at a time: several would read the same volume.
    with _opening:
        slices = _slices(path.parent, axis, stat.st_mtime_ns, stat.st_size)
    if index >= len(slices):
        raise DataError(
            f"{path.parent} has {counted(len(slices), 'slice')}; there is no slice {index}.",
            code="LEX-DATA-1225",
        )
    turn = turn_to_display(slices.volume.grid.directions(axis))
    if is_label:
        pixels = turn.apply(_labels(slices.volume.stored, axis, index, path.parent))
    else:
        pixels = turn.apply(slices.read(index).pixels[..., 0])
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache(maxsize=_KEPT_GRIDS)
def _grid(volume: Path, changed: int) -> VolumeGrid:
    return read_grid(volume)


@lru_cache(maxsize=_KEPT_OPEN)
def _slices(volume: Path, axis: int, changed: int, size: int) -> VoxelSlices:
    return open_volume_file(volume).slices(axis)


def _place(path: Path) -> tuple[int, int, bool]:
    """Return axis and number of a slice, and whether it is one of labels."""
    match = _NAME.search(path.name)
    assert match is not None
    return "ijk".index(path.name[match.start() + 1]), int(match[1]), match[2] is not None


def _labels(stored: StoredVoxels, axis: int, index: int, path: Path) -> npt.NDArray[np.integer]:
    values = stored.scaled(slice_of(stored.values, axis, index))
    whole = np.rint(values)
    is_scaled = stored.values.dtype.kind in "iu" and stored.slope != 1
    rounding = min(abs(stored.slope), _LARGEST_ROUNDING) if is_scaled else 0.0
    if not (
        np.isfinite(values).all()
        and (np.abs(values - whole) <= rounding).all()
        and 0 <= float(whole.min()) <= float(whole.max()) <= _LARGEST_LABEL
    ):
        raise DataError(
            f"{path} is no label map: slice {index} holds fractions, or numbers below 0 or above "
            f"{_LARGEST_LABEL}. "
            "Save whole label values from 0 up.",
            code="LEX-DATA-1226",
        )
    kind: type[np.unsignedinteger] = np.uint8 if whole.max() < 256 else np.uint16
    return np.ascontiguousarray(whole.astype(kind))


def _voxels(grid: VolumeGrid) -> str:
    return " x ".join(map(str, grid.shape))
