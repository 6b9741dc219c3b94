"""Contact sheets of volumes: several slices in one picture, each with its number and its directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS
from lexiseg.clinic.volume_geometry import PlaneName, slice_of
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.volumes.volume import Slices
from lexiseg.inference.volumes.pictures import between_lines, drawn_slice, place_of, slice_picture

#: Most slices on a sheet.
MOST_SLICES = 9
#: Longer side of a slice on a sheet, in pixels.
SLICE_SIDE = 512

# Least width of a slice with its number, as a share of its longer side, and the gap between slices in pixels.
_LEAST_WIDTH, _GAP = 0.5, 4
# Height of a number as a share of the longer side of a slice; how much larger the title is.
_TEXT_SHARE, _TITLE_SCALE = 1 / 22, 1.4


@dataclass(frozen=True, kw_only=True, eq=False)
class PicturedSlice:
    """A slice that a sheet shows.

    Attributes:
        index: Its number along the axis, from 0.
        image: Its pixels, and what the volume says about them.
        labels: `(H, W)`, its labels in the volume.
    """

    index: int
    image: DecodedImage
    labels: npt.NDArray[np.uint8]


def pictured_indices(labels: npt.NDArray[np.uint8], axis: int) -> tuple[int, ...]:
    """Return the slices that pictures of a volume show, from 0.

    The slice with the largest area of lesions is the first, the earliest of equal ones; without any lesion
    it is the middle one. The others follow in their order: at most `MOST_SLICES` in all, evenly spaced among
    the slices with a lesion, or among all slices where none has one.

    Args:
        labels: `(I, J, K)`, 0 is background.
        axis: The voxel axis along which slices are counted.
    """
    areas = np.count_nonzero(np.moveaxis(labels, axis, 0).reshape(labels.shape[axis], -1), axis=1)
    found = np.flatnonzero(areas)
    if found.size:
        first = int(areas.argmax())
    else:
        found, first = np.arange(len(areas)), len(areas) // 2
    spread = np.linspace(0, len(found) - 1, min(MOST_SLICES, len(found)))
    chosen = [int(index) for index in found[np.rint(spread).astype(int)]]
    if first not in chosen:
        chosen[int(np.abs(np.array(chosen) - first).argmin())] = first
    return (first, *(index for index in chosen if index != first))


def pictured_slices(labels: npt.NDArray[np.uint8], axis: int, slices: Slices) -> tuple[PicturedSlice, ...]:
    """Return the slices that a sheet of a volume shows, see `pictured_indices`.

    Args:
        labels: `(I, J, K)`, 0 is background.
        axis: The voxel axis along which slices are counted.
        slices: The slices along this axis.

    Raises:
        DataError: A slice cannot be read.
    """
    return tuple(
        PicturedSlice(index=index, image=slices.read(index), labels=slice_of(labels, axis, index))
        for index in pictured_indices(labels, axis)
    )


def sheet_title(plane: PlaneName, *, axis: int, lesion: bool) -> str:
    """Return what a sheet says of its slices, such as "Axial slices (k) with lesions: largest area first".

    Args:
        plane: The plane of the body that is nearest to the slices.
        axis: The voxel axis along which slices are counted.
        lesion: Whether the volume holds any lesion.
    """
    named = "Slices" if plane == "unknown" else f"{plane.capitalize()} slices"
    which = " with lesions: largest area first" if lesion else ": no lesion found, middle slice first"
    return f"{named} ({'ijk'[axis]}){which}"


def contact_sheet(
    pictured: Sequence[PicturedSlice], plane: PlaneName, count: int, *, axis: int, side: int = SLICE_SIDE
) -> Image.Image:
    """Draw slices side by side, row by row, with the outlines of their labels.

    Each slice is in the usual display and in the proportions of the body, with its number above it and the
    directions of the body at its sides where they are known. A single slice gets a larger picture, see
    `lexiseg.inference.volumes.pictures.slice_picture`.

    Args:
        pictured: The slices, from `pictured_slices`; all have the same size.
        plane: The plane of the body that is nearest to the slices.
        count: Number of slices of the volume.
        axis: The voxel axis along which slices are counted.
        side: Longer side of a slice on the sheet, in pixels.
    """
    first = pictured[0]
    lesion = bool(first.labels.any())
    if len(pictured) == 1:
        place = place_of(plane, first.index + 1, count, axis=axis, lesion=lesion)
        return slice_picture(first.image, first.labels, place)
    cells = [
        between_lines(
            drawn_slice(found.image, found.labels, side),
            f"Slice {found.index + 1} of {count}",
            least=round(side * _LEAST_WIDTH),
            text_px=side * _TEXT_SHARE,
        )
        for found in pictured
    ]
    columns = math.ceil(math.sqrt(len(cells)))
    rows = math.ceil(len(cells) / columns)
    width, height = cells[0].width + _GAP, cells[0].height + _GAP
    sheet = Image.new("RGB", (columns * width - _GAP, rows * height - _GAP))
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(cell, (column * width, row * height))
    title = sheet_title(plane, axis=axis, lesion=lesion)
    return between_lines(sheet, title, NOT_FOR_DIAGNOSIS, text_px=_TITLE_SCALE * side * _TEXT_SHARE)
