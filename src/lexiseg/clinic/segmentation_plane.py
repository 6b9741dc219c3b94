"""Where a segmentation lies on its image: stored like it, mirrored, or with rows and columns exchanged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, frame_items, number_of_frames, numbers
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_mask import segmented_series
from lexiseg.errors import DataError

#: Pixels that lie less than this share of a pixel beside their counterparts are nearest to these.
_SAME_PIXEL = 0.5

#: PixelSpacing of the same grid differs by at most this share: some files round it to two digits.
_SAME_SPACING = 0.01

#: Direction cosines of the same direction differ by at most this much: some files round them to three digits.
_SAME_DIRECTION = 0.002

#: A segmentation that does not name its image may lie this far from its plane, or half a slice where that is
#: more.
_OFF_PLANE_MM = 1.0


class _OtherGridError(Exception):
    """The frame does not lie on the pixels of the image; the text says why."""


@dataclass(frozen=True, kw_only=True)
class _Plane:
    """The plane of a frame; position and spacing are empty where they are not stated."""

    size: tuple[int, int]
    cosines: list[float]
    position: list[float]
    spacing_mm: list[float]

    @property
    def axes(self) -> npt.NDArray[np.float64]:
        """The directions down a column and along a row, `(2, 3)`."""
        return np.array(self.cosines, dtype=np.float64).reshape(2, 3)[::-1]

    @property
    def is_placed(self) -> bool:
        """Whether direction and position are stated."""
        return bool(self.cosines and self.position)


def turn_of_segmentation(
    segmentation: Dataset,
    path: Path,
    image: Dataset,
    image_path: Path,
    *,
    frames: Sequence[int] | None = None,
) -> Turn:
    """Return the turn from the grid of a segmentation to that of its image.

    The directions choose the turn. The turned pixels lie on those of the image where spacing and position are
    the same but for rounding. Where one of them states no ImageOrientationPatient, as radiographs do, or
    where their sizes cannot fit, there is no turn.

    Args:
        segmentation: The segmentation.
        path: Its name, for messages.
        image: The image; its pixels are not needed.
        image_path: Its name, for messages.
        frames: The frames of the image in a segmentation of a series, from 0; None: all belong to the image.

    Raises:
        DataError: The frames lie neither on the pixels of the image nor on those of the turned image; or the
            segmentation is damaged.
    """
    with damage_named(image_path):
        target, depth_mm = _plane(image, 0), _depth_mm(image)
    with damage_named(path):
        # A frame that names its image lies on its slice, whatever the position along the normal is.
        planes = [
            (_plane(segmentation, index), math.inf if _names(segmentation, index, image) else depth_mm)
            for index in (range(number_of_frames(segmentation)) if frames is None else frames)
        ]
    try:
        turns = {_turn(plane, target, depth_mm=depth) for plane, depth in planes}
        if len(turns) > 1:
            raise _OtherGridError("its frames are mirrored or turned in different ways")
    except _OtherGridError as error:
        raise DataError(
            f"{path} is a mask that does not lie on the pixels of its image {image_path}: {error}. Export "
            "the mask on the grid of the image, or correct what one of the files states.",
            code="LEX-DATA-1809",
        ) from error
    return turns.pop() if turns else NO_TURN


def states_place(segmentation: Dataset, path: Path, image: Dataset, image_path: Path) -> bool:
    """Return whether a segmentation states how and where each of its frames lies on an image.

    A frame does where both state direction and position, or where it names the image. A direction that one of
    them states alone cannot be compared.

    Args:
        segmentation: The segmentation.
        path: Its name, for messages.
        image: The image.
        image_path: Its name, for messages.

    Raises:
        DataError: A file is damaged.
    """
    with damage_named(image_path):
        target, own = _plane(image, 0), str(image.get("SOPInstanceUID", ""))
    with damage_named(path):
        named = {uid for uids in segmented_series(segmentation).values() for uid in uids}
        names = own in named - {""}
        return all(
            bool(plane.cosines) == bool(target.cosines)
            and (names or _names(segmentation, index, image) or (plane.is_placed and target.is_placed))
            for index in range(number_of_frames(segmentation))
            for plane in [_plane(segmentation, index)]
        )


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


def _depth_mm(image: Dataset) -> float:
    """Return how far from the plane of an image a segmentation may lie that does not name it."""
    thickness = numbers(first_value(image, "PixelMeasuresSequence", "SliceThickness", 0))
    return max([_OFF_PLANE_MM, *(value / 2 for value in thickness)])


def _names(segmentation: Dataset, frame: int, image: Dataset) -> bool:
    """Return whether a frame states that it is derived from the image."""
    named = {
        str(source.get("ReferencedSOPInstanceUID", ""))
        for item in frame_items(segmentation, "DerivationImageSequence", frame)
        for source in item.get("SourceImageSequence") or []
    }
    return str(image.get("SOPInstanceUID", "")) in named - {""}


def _turn(plane: _Plane, target: _Plane, *, depth_mm: float) -> Turn:
    """Return the turn that lays a plane on another one, pixel on pixel.

    Raises:
        _OtherGridError: There is none.
    """
    if not plane.cosines or not target.cosines:
        return NO_TURN
    if sorted(plane.size) != sorted(target.size):
        return NO_TURN  # the difference in size is reported where image and mask are compared
    turn = _turn_of_directions(plane, target)
    if turn is None or (plane.size[::-1] if turn.transpose else plane.size) != target.size:
        raise _OtherGridError(
            "its plane has another direction: expected the ImageOrientationPatient of the image, "
            f"{_shown(target.cosines)}, mirrored or turned by 90 degrees at most, got "
            f"{_shown(plane.cosines)}, with {plane.size[1]} x {plane.size[0]} pixels"
        )
    stated = plane.spacing_mm[::-1] if turn.transpose else plane.spacing_mm
    spacing = np.array(stated or target.spacing_mm or [1.0, 1.0])
    expected = np.array(target.spacing_mm or stated or [1.0, 1.0])
    if (np.abs(spacing - expected) > _SAME_SPACING * expected).any():
        raise _OtherGridError(
            "its pixels have another size: expected the PixelSpacing of the image, "
            f"{_shown(expected)} mm, within {100 * _SAME_SPACING:g} %, got {_shown(spacing)} mm"
            + (" (rows and columns exchanged)" if turn.transpose else "")
        )
    if plane.position and target.position:
        _refuse_offset(plane, target, turn, (spacing, expected), depth_mm=depth_mm)
    return turn


def _turn_of_directions(plane: _Plane, target: _Plane) -> Turn | None:
    """Return the turn that lays the directions of a plane on those of another one; None if none does."""
    for transpose in (False, True):
        axes = plane.axes[::-1] if transpose else plane.axes
        opposite = (axes * target.axes).sum(axis=1) < 0
        turned = np.where(opposite[:, None], -axes, axes)
        if np.abs(turned - target.axes).max() <= _SAME_DIRECTION:
            return Turn(transpose=transpose, flip_rows=bool(opposite[0]), flip_columns=bool(opposite[1]))
    return None


def _refuse_offset(
    plane: _Plane,
    target: _Plane,
    turn: Turn,
    spacings: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    *,
    depth_mm: float,
) -> None:
    """Refuse a plane whose turned first pixel does not lie on that of the image.

    Args:
        plane: The plane of the segmentation.
        target: That of the image.
        turn: The turn between them.
        spacings: Spacing of the turned plane, and of the image.
        depth_mm: How far the plane may lie from that of the image.

    Raises:
        _OtherGridError: It does not.
    """
    spacing, expected = spacings
    axes = target.axes
    # A mirrored plane states the position of the last pixel of the image.
    steps = (np.array(target.size) - 1) * [turn.flip_rows, turn.flip_columns]
    away = np.array(plane.position) - (steps * spacing) @ axes - np.array(target.position)
    down, across = (float(value) for value in axes @ away)
    rounding = steps * np.abs(spacing - expected)
    if (np.abs([down, across]) > _SAME_PIXEL * expected + rounding).any():
        raise _OtherGridError(
            f"its pixels, turned to the image, lie {abs(down):.3g} mm (along a column) and "
            f"{abs(across):.3g} mm (along a row) beside those of the image; expected at most "
            f"half a PixelSpacing of "
            f"{_shown(expected)} mm"
        )
    depth = abs(float(np.cross(axes[1], axes[0]) @ away))
    if depth > depth_mm:
        raise _OtherGridError(
            f"it does not name the image, and lies {depth:.3g} mm before or behind it; expected at most "
            f"{depth_mm:.3g} mm"
        )


def _shown(values: Sequence[float] | npt.NDArray[np.float64]) -> str:
    return "\\".join(f"{value:.4g}" for value in values)
