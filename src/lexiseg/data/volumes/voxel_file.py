"""Volumes in one file: NIfTI, MetaImage (MHA, MHD) and NRRD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.clinic.volume_geometry import VolumeGrid, slice_of
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.decoding.container import pixel_limit
from lexiseg.data.volumes.grey_range import AS_STORED_BYTES, GreyRange, chosen_range, own_range, spread
from lexiseg.data.volumes.volume import slice_facts
from lexiseg.data.volumes.volume_names import VOLUME_READERS, volume_ending
from lexiseg.errors import DataError
from lexiseg.extras import load_module
from lexiseg.open_files import too_many_open


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredVoxels:
    """The voxels of a file as it stores them.

    Attributes:
        kind: What the file is, such as "NIfTI".
        grid: The voxel grid.
        values: `(I, J, K)` of any real number type; may be read from the disk when it is used.
        slope: Values are multiplied by it.
        intercept: And this is added.
        header: Header of a NIfTI file, whose grid a written mask repeats; None for other files.
    """

    kind: str
    grid: VolumeGrid
    values: npt.NDArray[Any]
    slope: float = 1.0
    intercept: float = 0.0
    header: Any = None

    def scaled(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return stored values in their units; unchanged where the file states no scale."""
        if self.slope == 1 and self.intercept == 0:
            return values
        return np.asarray(values.astype(np.float64) * self.slope + self.intercept)


@dataclass(frozen=True, kw_only=True)
class VoxelFile:
    """A volume in one file.

    Attributes:
        path: The file.
        stored: What it stores.
        view: The window.
    """

    path: Path
    stored: StoredVoxels
    view: View = AS_STORED
    acquired_axis: int | None = None

    @property
    def kind(self) -> str:
        """What the file is, such as "NIfTI"."""
        return self.stored.kind

    @property
    def grid(self) -> VolumeGrid:
        """The voxel grid."""
        return self.stored.grid

    def slice_files(self, axis: int) -> tuple[Path, ...]:
        """Return nothing: all slices are in one file."""
        return ()

    def slices(self, axis: int) -> VoxelSlices:
        """Return the slices along a voxel axis; the range of grey values is that of the whole volume.

        Raises:
            DataError: The file is damaged, or a slice has too many pixels.
        """
        stored = self.stored
        shape = stored.grid.shape
        if shape[axis] and int(np.prod(shape)) // shape[axis] > pixel_limit():
            raise DataError(
                f"{self.path}: its slices have more than {pixel_limit():,} pixels. Resample the volume, or "
                "cut it into parts, and predict those.",
                code="LEX-DATA-1191",
            )
        grey = chosen_range(self.view)
        if grey is None and stored.values.dtype == np.uint8 and (stored.slope, stored.intercept) == (1, 0):
            grey = AS_STORED_BYTES
        if grey is None:
            read = partial(_values, self, axis)
            grey = own_range(map(read, spread(shape[axis])), self.view)
        return VoxelSlices(volume=self, axis=axis, grey=grey)


@dataclass(frozen=True, kw_only=True)
class VoxelSlices:
    """The slices of a volume file along one voxel axis.

    Attributes:
        volume: The file.
        axis: The voxel axis.
        grey: Which values become black and white.
    """

    volume: VoxelFile
    axis: int
    grey: GreyRange

    def __len__(self) -> int:
        """Return the number of slices."""
        return self.volume.grid.shape[self.axis]

    def read(self, index: int) -> DecodedImage:
        """Return one slice, see `lexiseg.data.volumes.volume.Slices`.

        Raises:
            DataError: The file is damaged.
        """
        grey = self.grey.grey(_values(self.volume, self.axis, index))
        facts = slice_facts(
            self.volume.grid,
            self.axis,
            index,
            modality="",
            shown=self.grey.shown,
            assumptions=self.grey.assumptions,
        )
        return DecodedImage(pixels=np.repeat(grey[..., None], 3, axis=2), facts=facts)


def open_volume_file(path: Path, view: View = AS_STORED) -> VoxelFile:
    """Open a volume file.

    Args:
        path: A NIfTI, MetaImage or NRRD file.
        view: The window; its frame has no effect.

    Raises:
        DataError: The file is missing, damaged, too large, or holds no volume of real numbers.
        UsageError: The package that reads it is not installed.
    """
    return VoxelFile(path=path, stored=read_stored(path), view=view)


def read_stored(path: Path) -> StoredVoxels:
    """Read a volume file as it is stored; see `open_volume_file`.

    Raises:
        DataError: The file is missing, damaged, too large, or holds no volume of real numbers.
        UsageError: The package that reads it is not installed.
    """
    stored: StoredVoxels = _reader(path).read_voxels(path)
    return stored


def read_grid(path: Path) -> VolumeGrid:
    """Return the grid of a volume file; its voxels are not read.

    Raises:
        DataError: The file is missing, damaged, too large, or holds no volume of real numbers.
        UsageError: The package that reads it is not installed.
    """
    grid: VolumeGrid = _reader(path).read_header(path).grid
    return grid


def _reader(path: Path) -> ModuleType:
    if not path.is_file():
        raise DataError(f"{path} does not exist.", code="LEX-DATA-1192")
    return load_module(f"lexiseg.data.volumes.{VOLUME_READERS[volume_ending(path.name)]}")


def _values(volume: VoxelFile, axis: int, index: int) -> npt.NDArray[Any]:
    stored = volume.stored
    try:
        return stored.scaled(slice_of(stored.values, axis, index))
    except (OSError, ValueError) as error:  # a file that is read when it is used
        raise too_many_open(volume.path, error) or DataError(
            f"{volume.path} cannot be read: {error}. Replace it.", code="LEX-DATA-1193"
        ) from error
