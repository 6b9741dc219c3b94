"""Where a segmentation lies on its image: stored like it, mirrored, or with rows and columns exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, number_of_frames, numbers
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_mask import images_of_frame
from lexiseg.errors import DataError

#: The corners of the image and of the turned segmentation differ by less than this share of a pixel, so that
#: each pixel lies nearest to its own counterpart.
_SAME_PIXEL = 0.5

_TURNS = tuple(
    Turn(transpose=transpose, flip_rows=rows, flip_columns=columns)
    for transpose, rows, columns in product((False, True), repeat=3)
)


@dataclass(frozen=True, kw_only=True)
class _Plane:
    """The plane of a frame; position and spacing are empty where they are not stated."""

    size: tuple[int, int]
    cosines: list[float]
    position: list[float]
    spacing_mm: list[float]


def turn_of_segmentation(
    segmentation: Dataset, path: Path, image: Dataset, image_path: Path, *, instance: str | None = None
) -> Turn:
    """Return the turn from the grid of a segmentation to that of its image.

    Where one of them states no ImageOrientationPatient, as radiographs do, or where their sizes cannot fit,
    there is no turn.

    Args:
        segmentation: The segmentation.
        path: Its name, for messages.
        image: The image; its pixels are not needed.
        image_path: Its name, for messages.
        instance: UID of the image, in a segmentation of a series; None: all frames belong to the image.

    Raises:
        DataError: The frames lie neither on the pixels of the image nor on those of the turned image; or the
            segmentation is damaged.
    """
    with damage_named(image_path):
        target = _plane(image, 0)
    with damage_named(path):
        frames = [
            index
            for index in range(number_of_frames(segmentation))
            if instance is None or instance in images_of_frame(segmentation, path, index)
        ]
        turns = {_turn(_plane(segmentation, index), target) for index in frames}
    if len(turns) > 1 or None in turns:
        raise DataError(
            f"{path} segments another plane than that of its image {image_path}: position, orientation and "
            "pixel spacing do not lay its pixels on those of the image, even mirrored or turned by 90 "
            "degrees. Export the segmentation on the grid of the image.",
            code="LEX-DATA-1809",
        )
    return turns.pop() or NO_TURN if turns else NO_TURN


def _plane(dataset: Dataset, frame: int) -> _Plane:
    def stated(group: str, keyword: str, count: int) -> list[float]:
        found = numbers(first_value(dataset, group, keyword, frame))
        return found if len(found) == count else []

    return _Plane(
        size=(int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0))),
        cosines=stated("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        position=stated("PlanePositionSequence", "ImagePositionPatient", 3),
        spacing_mm=stated("PixelMeasuresSequence", "PixelSpacing", 2),
    )


def _turn(plane: _Plane, target: _Plane) -> Turn | None:
    """Return the turn that lays a plane on another one, pixel on pixel; None if none does."""
    if not plane.cosines or not target.cosines:
        return NO_TURN
    if sorted(plane.size) != sorted(target.size):
        return NO_TURN  # the difference in size is reported where image and mask are compared
    here = _corners(plane, plane.spacing_mm or target.spacing_mm or [1.0, 1.0])
    there = _corners(target, target.spacing_mm or plane.spacing_mm or [1.0, 1.0])
    if not plane.position or not target.position:
        here, there = here - here.mean(axis=(0, 1)), there - there.mean(axis=(0, 1))
    limit = _SAME_PIXEL * min(target.spacing_mm or plane.spacing_mm or [1.0])
    for turn in _TURNS:
        size = plane.size[::-1] if turn.transpose else plane.size
        distance = np.linalg.norm(turn.apply(here) - there, axis=-1)
        if size == target.size and distance.max() < limit:
            return turn
    return None


def _corners(plane: _Plane, spacing_mm: list[float]) -> npt.NDArray[np.float64]:
    """Return where the four corner pixels lie in the patient, `(2, 2, 3)` millimetres."""
    along_row, along_column = np.array(plane.cosines[:3]), np.array(plane.cosines[3:])
    down = np.array([0.0, plane.size[0] - 1.0])[:, None, None] * along_column * spacing_mm[0]
    across = np.array([0.0, plane.size[1] - 1.0])[None, :, None] * along_row * spacing_mm[1]
    return np.asarray(np.array(plane.position or [0.0, 0.0, 0.0]) + down + across, dtype=np.float64)
