"""Where the patient's left is: directions of an image's rows and columns, and turns to the usual display.

Directions are letters of PS3.3 C.7.6.1.1.1: L and R the patient's left and right, A and P front and back, H
and F head and feet. (Row, column) = (L, F) says that a row runs to the patient's left and a column to the
feet, which is the usual display of a frontal radiograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt

Letter = Literal["L", "R", "A", "P", "H", "F"]
PatientSide = Literal["left", "right"]
Array = TypeVar("Array", bound="npt.NDArray[Any]")

_OPPOSITE: dict[str, Letter] = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_AXIS = {"L": "LR", "R": "LR", "A": "AP", "P": "AP", "H": "HF", "F": "HF"}
#: Directions of the patient coordinate system (LPS), positive and negative.
_POSITIVE, _NEGATIVE = ("L", "P", "H"), ("R", "A", "F")
#: Usual display: the patient's left on the right, the back right or below, the feet below.
_SHOWN_TOWARDS: dict[str, Letter] = {"LR": "L", "AP": "P", "HF": "F"}
#: Of two axes, the first one in this list runs along the columns.
_DOWN_FIRST = ("HF", "AP")


@dataclass(frozen=True, kw_only=True)
class Directions:
    """The directions in which the rows and columns of a stored image run.

    Attributes:
        row: Direction of rising column numbers.
        column: Direction of rising row numbers.
    """

    row: Letter
    column: Letter

    @property
    def knows_sides(self) -> bool:
        """Whether the patient's left and right lie in the image."""
        return "LR" in (_AXIS[self.row], _AXIS[self.column])


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What turns a stored image to the usual display: first the transposition, then the two flips.

    Attributes:
        transpose: Whether rows and columns are exchanged.
        flip_rows: Whether the order of the rows is reversed (upside down).
        flip_columns: Whether the order of the columns is reversed (mirror image).
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def is_none(self) -> bool:
        """Whether nothing is turned."""
        return not (self.transpose or self.flip_rows or self.flip_columns)

    @property
    def words(self) -> str:
        """What is done, in words."""
        done = (
            ("rows and columns exchanged", self.transpose),
            ("turned upside down", self.flip_rows),
            ("mirrored", self.flip_columns),
        )
        return ", ".join(word for word, does in done if does) or "not turned"

    def directions(self, stored: Directions | None) -> Directions | None:
        """Return the directions of the displayed image from those of the stored one; None for none."""
        if stored is None:
            return None
        row, column = (stored.column, stored.row) if self.transpose else (stored.row, stored.column)
        return Directions(
            row=opposite(row) if self.flip_columns else row,
            column=opposite(column) if self.flip_rows else column,
        )

    def apply(self, pixels: Array) -> Array:
        """Return a stored image, `(H, W)` or `(H, W, C)`, as it is usually displayed."""
        turned: npt.NDArray[Any] = pixels.swapaxes(0, 1) if self.transpose else pixels
        turned = turned[::-1] if self.flip_rows else turned
        turned = turned[:, ::-1] if self.flip_columns else turned
        return cast(Array, np.ascontiguousarray(turned))

    def undo(self, pixels: Array) -> Array:
        """Return what `apply` was given."""
        turned: npt.NDArray[Any] = pixels[:, ::-1] if self.flip_columns else pixels
        turned = turned[::-1] if self.flip_rows else turned
        turned = turned.swapaxes(0, 1) if self.transpose else turned
        return cast(Array, np.ascontiguousarray(turned))

    def apply_maps(self, maps: Array) -> Array:
        """Return `(C, H, W)` maps of the stored image as it is usually displayed."""
        return cast(Array, np.ascontiguousarray(np.moveaxis(self.apply(np.moveaxis(maps, 0, -1)), -1, 0)))

    def undo_maps(self, maps: Array) -> Array:
        """Return `(C, H, W)` maps of the displayed image on the grid of the stored one."""
        return cast(Array, np.ascontiguousarray(np.moveaxis(self.undo(np.moveaxis(maps, 0, -1)), -1, 0)))


#: No turn.
NO_TURN = Turn()


def directions_of_letters(values: Sequence[str]) -> Directions | None:
    """Return the directions that PatientOrientation states; None where it is empty or impossible.

    An oblique direction, such as "LF", counts as its first letter, which is the main one.
    """
    first = [str(value).strip().upper()[:1] for value in values]
    if len(first) != 2 or not all(letter in _AXIS for letter in first):
        return None
    row, column = cast("list[Letter]", first)
    return None if _AXIS[row] == _AXIS[column] else Directions(row=row, column=column)


def directions_of_cosines(cosines: Sequence[float]) -> Directions | None:
    """Return the main directions of ImageOrientationPatient; None where it is impossible."""
    values = np.asarray([float(value) for value in cosines], dtype=np.float64)
    if values.shape != (6,) or not np.isfinite(values).all():
        return None
    letters = []
    for vector in (values[:3], values[3:]):
        main = int(np.abs(vector).argmax())
        if abs(vector[main]) < 1e-3:
            return None
        letters.append(_POSITIVE[main] if vector[main] > 0 else _NEGATIVE[main])
    return directions_of_letters(letters)


def turn_to_display(directions: Directions | None) -> Turn:
    """Return the turn to the usual display; none where the directions are not known."""
    if directions is None:
        return NO_TURN
    row, column = directions.row, directions.column
    down = next(axis for axis in _DOWN_FIRST if axis in (_AXIS[row], _AXIS[column]))
    transpose = _AXIS[row] == down
    if transpose:
        row, column = column, row
    return Turn(
        transpose=transpose,
        flip_rows=column != _SHOWN_TOWARDS[_AXIS[column]],
        flip_columns=row != _SHOWN_TOWARDS[_AXIS[row]],
    )


def share_on_patient_left(mask: npt.NDArray[Any], directions: Directions) -> float | None:
    """Return the share of a mask's pixels in the patient's left half of the image, 0 to 1.

    It is computed on the stored grid from the stored directions, independent of any turn. Pixels on the
    middle line count one half.

    Args:
        mask: `(H, W)` on the stored grid; pixels other than 0 count.
        directions: Directions of the stored image.

    Returns:
        The share; None for an empty mask, or where left and right do not lie in the image.
    """
    if not directions.knows_sides or not mask.any():
        return None
    along_row = _AXIS[directions.row] == "LR"
    counts = np.count_nonzero(mask, axis=0 if along_row else 1).astype(np.float64)
    middle = (len(counts) - 1) / 2
    place = np.arange(len(counts))
    share_after = float((counts[place > middle].sum() + counts[place == middle].sum() / 2) / counts.sum())
    return share_after if (directions.row if along_row else directions.column) == "L" else 1 - share_after


def opposite(letter: Letter) -> Letter:
    """Return the opposite direction."""
    return _OPPOSITE[letter]
