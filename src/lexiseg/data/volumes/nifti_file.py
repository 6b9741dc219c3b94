"""Reading of NIfTI files with their affine."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from lexiseg.clinic.volume_geometry import NIFTI_MILLIMETRES, VolumeGrid
from lexiseg.data.volumes.volume import check_size, three
from lexiseg.data.volumes.voxel_file import StoredVoxels
from lexiseg.errors import DataError
from lexiseg.open_files import too_many_open

# nibabel has no types.
_NIB: Any = nibabel

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    zlib.error,
    _NIB.filebasedimages.ImageFileError,
    _NIB.spatialimages.HeaderDataError,
)


@dataclass(frozen=True, kw_only=True)
class NiftiHeader:
    """An opened NIfTI file whose voxels are not read.

    Attributes:
        image: The image of nibabel.
        grid: The voxel grid.
    """

    image: Any
    grid: VolumeGrid


def read_header(path: Path) -> NiftiHeader:
    """Open a NIfTI file of three dimensions, or of two.

    The affine is the sform, or else the qform. A file with neither does not say where the patient's left is,
    and its voxel size is that of its header.

    Raises:
        DataError: It is damaged, is no volume of real numbers, or is too large.
    """
    try:
        image: Any = _NIB.load(path)
        header = image.header
        shape = tuple(int(length) for length in image.shape)
        dtype = np.dtype(header.get_data_dtype())
        codes = int(header["sform_code"]), int(header["qform_code"])
        unit = str(header.get_xyzt_units()[0])
    except (*_BROKEN, AttributeError) as error:
        raise too_many_open(path, error) or _damaged(path, error) from error
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(
            f"{path} has {' x '.join(map(str, shape))} voxels; expected a volume of three dimensions. Save "
            "one time point or channel per file.",
            code="LEX-DATA-075",
        )
    if dtype.kind not in "iuf":
        raise DataError(
            f"{path} holds values of the type {dtype}; expected whole numbers or fractions. Save it as a "
            "grey volume.",
            code="LEX-DATA-1196",
        )
    check_size(shape, path)
    return NiftiHeader(image=image, grid=_grid(image, three(shape), placed=any(codes), unit=unit, path=path))


def read_voxels(path: Path) -> StoredVoxels:
    """Read a NIfTI file; an uncompressed one is read from the disk slice by slice.

    Raises:
        DataError: It is damaged, is no volume of real numbers, or is too large.
    """
    opened = read_header(path)
    stored = opened.image.dataobj
    try:
        values = np.asarray(stored.get_unscaled())
    except _BROKEN as error:
        raise too_many_open(path, error) or _damaged(path, error) from error
    return StoredVoxels(
        kind="NIfTI",
        grid=opened.grid,
        values=values.reshape(opened.grid.shape, order="F"),
        slope=float(stored.slope),
        intercept=float(stored.inter),
        header=opened.image.header,
    )


def _grid(image: Any, shape: tuple[int, int, int], *, placed: bool, unit: str, path: Path) -> VolumeGrid:
    scale = NIFTI_MILLIMETRES.get(unit, 1.0)
    affine: npt.NDArray[np.float64] = np.array(image.affine, dtype=np.float64)
    affine[:3] *= scale
    steps = affine[:3, :3]
    if (
        not np.isfinite(affine).all()
        or (np.linalg.norm(steps, axis=0) == 0).any()
        or np.linalg.det(steps) == 0
    ):
        raise DataError(
            f"{path} has an affine that gives voxels no place or no size. Save the volume again with the "
            "program that made it.",
            code="LEX-DATA-1197",
        )
    zooms = tuple(float(step) for step in image.header.get_zooms()[:3])
    return VolumeGrid(
        shape=shape,
        affine=affine,
        is_placed=placed,
        # Without an affine the voxel size may be what a program writes where it knows none.
        has_spacing=placed or (unit != "unknown" and all(step > 0 for step in zooms)),
    )


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()
    return DataError(
        f"{path} cannot be read as NIfTI: {(reason or [type(error).__name__])[0].rstrip('.')}. Replace it.",
        code="LEX-DATA-074",
    )
