"""Reading of MetaImage (MHA, MHD) and NRRD files with SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from lexiseg.clinic.volume_geometry import LPS_RAS, VolumeGrid
from lexiseg.data.volumes.data_files import check_data_files
from lexiseg.data.volumes.volume import check_size, three
from lexiseg.data.volumes.volume_names import NRRD_ENDINGS
from lexiseg.data.volumes.voxel_file import StoredVoxels
from lexiseg.errors import DataError
from lexiseg.open_files import too_many_open
from lexiseg.printable import counted

# SimpleITK has no types.
_ITK: Any = SimpleITK

#: Fields of a MetaImage header that state its directions; the file has others without them.
_META_DIRECTIONS = (b"TransformMatrix", b"Rotation", b"Orientation")
_META_HEADER_BYTES = 1 << 16
_NRRD_SPACE = "NRRD_space"


@dataclass(frozen=True, kw_only=True)
class ItkHeader:
    """An opened file whose voxels are not read.

    Attributes:
        reader: The reader of SimpleITK.
        grid: The voxel grid.
    """

    reader: Any
    grid: VolumeGrid


def read_header(path: Path) -> ItkHeader:
    """Open a MetaImage or NRRD file of three dimensions, or of two.

    A NRRD file without `space`, and a MetaImage without a matrix, do not say where the patient's left is.

    Raises:
        DataError: It is damaged, is no volume of real numbers, is too large, or names a data file outside of
            its folder.
    """
    is_nrrd = _is_nrrd(path)
    check_data_files(path, is_nrrd=is_nrrd)
    reader = _ITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("NrrdImageIO" if is_nrrd else "MetaImageIO")
    try:
        reader.ReadImageInformation()
        size = tuple(int(length) for length in reader.GetSize())
        numbers = int(reader.GetNumberOfComponents())
    except RuntimeError as error:
        raise too_many_open(path, error) or _damaged(path, error) from error
    if len(size) not in (2, 3) or 0 in size or numbers != 1:
        raise DataError(
            f"{path} has {' x '.join(map(str, size))} voxels of {counted(numbers, 'number')}; expected a "
            "grey volume of three dimensions. Save one time point or channel per file.",
            code="LEX-DATA-1198",
        )
    check_size(size, path)
    dimension, steps = len(size), reader.GetSpacing()
    direction, affine = np.eye(3), np.eye(4)
    direction[:dimension, :dimension] = np.array(reader.GetDirection()).reshape(dimension, dimension)
    affine[:3, :3] = direction @ np.diag([*steps, 1.0][:3])
    affine[:dimension, 3] = reader.GetOrigin()
    placed = reader.HasMetaDataKey(_NRRD_SPACE) if is_nrrd else _states_directions(path)
    grid = VolumeGrid(
        shape=three(size),
        affine=np.asarray(LPS_RAS @ affine, dtype=np.float64),
        is_placed=placed,
        has_spacing=placed or any(step != 1 for step in steps),
    )
    return ItkHeader(reader=reader, grid=grid)


def read_voxels(path: Path) -> StoredVoxels:
    """Read a MetaImage or NRRD file as a whole.

    Raises:
        DataError: As for `read_header`.
    """
    opened = read_header(path)
    try:
        # SimpleITK gives (K, J, I).
        values = np.asarray(_ITK.GetArrayFromImage(opened.reader.Execute())).T
    except (RuntimeError, MemoryError) as error:
        raise too_many_open(path, error) or _damaged(path, error) from error
    kind = "NRRD" if _is_nrrd(path) else "MetaImage"
    return StoredVoxels(kind=kind, grid=opened.grid, values=values.reshape(opened.grid.shape))


def _is_nrrd(path: Path) -> bool:
    return path.suffix.lower() in NRRD_ENDINGS


def _damaged(path: Path, error: Exception) -> DataError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = "NRRD" if _is_nrrd(path) else "MetaImage"
    return DataError(
        f"{path} cannot be read as {kind}: {(lines or [type(error).__name__])[-1].rstrip('.')}. Replace it, "
        "and the data file that its header may name.",
        code="LEX-DATA-1199",
    )


def _states_directions(path: Path) -> bool:
    with open(path, "rb") as file:
        header = file.read(_META_HEADER_BYTES)
    header = header.split(b"ElementDataFile", 1)[0]
    return any(line.split(b"=")[0].strip() in _META_DIRECTIONS for line in header.splitlines())
