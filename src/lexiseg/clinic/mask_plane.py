"""Where a mask in an ordinary DICOM file lies on its image: as it says, where both say it in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, numbers
from lexiseg.clinic.image import stored_directions
from lexiseg.clinic.orientation import NO_TURN, Directions, Turn
from lexiseg.clinic.segmentation_mask import is_segmentation
from lexiseg.clinic.segmentation_plane import states_place, turn_of_segmentation
from lexiseg.errors import DataError


def turn_of_mask(mask: Dataset, path: Path, image: Dataset, image_path: Path) -> Turn:
    """Return the turn from the grid of a mask in a DICOM file to that of its image.

    Planes are compared where both state one in the same frame of reference, or in a segmentation; else the
    letters of PatientOrientation. Without both, the mask is taken as it is stored (`says_where`).

    Args:
        mask: The mask; it may be a segmentation of one image, see `turn_of_segmentation`.
        path: Its name, for messages.
        image: The image; its pixels are not needed.
        image_path: Its name, for messages.

    Raises:
        DataError: The mask does not lie on the pixels of the image, or in other directions; or a file is
            damaged.
    """
    stated, of_image = _stated(mask, path), _stated(image, image_path)
    has_plane = stated.direction or of_image.direction
    if (is_segmentation(mask) and has_plane) or _share_a_frame(stated, of_image):
        return turn_of_segmentation(mask, path, image, image_path)
    own, expected = _directions(mask, path), _directions(image, image_path)
    if own is None or expected is None or own == expected:
        return NO_TURN
    raise DataError(
        f"{path} is a mask whose rows and columns run towards {own.row} and {own.column} of the patient; "
        f"those of its image {image_path} run towards {expected.row} and {expected.column}. Store the mask "
        "like the image, or correct its ImageOrientationPatient and PatientOrientation.",
        code="LEX-DATA-2012",
    )


def says_where(mask: Dataset, path: Path, image: Dataset, image_path: Path) -> bool:
    """Return whether a mask says how and where it lies on its image, so that it can be compared.

    An image that states a plane is compared with a mask that states direction and position in the same frame
    of reference. Radiographs state directions alone.

    Args:
        mask: The mask in a DICOM file.
        path: Its name, for messages.
        image: The image.
        image_path: Its name, for messages.

    Raises:
        DataError: A file is damaged.
    """
    if is_segmentation(mask):
        return states_place(mask, path, image, image_path)
    stated, of_image = _stated(mask, path), _stated(image, image_path)
    if of_image.direction:
        placed = _has_position(mask, path) and _has_position(image, image_path)
        return placed and _share_a_frame(stated, of_image)
    return _directions(mask, path) is not None and _directions(image, image_path) is not None


@dataclass(frozen=True, kw_only=True)
class _Stated:
    """What a file states of its plane: the frame of reference, and whether its direction."""

    frame: str
    direction: bool


def _stated(dataset: Dataset, path: Path) -> _Stated:
    with damage_named(path):
        cosines = numbers(first_value(dataset, "PlaneOrientationSequence", "ImageOrientationPatient", 0))
        return _Stated(frame=str(dataset.get("FrameOfReferenceUID") or ""), direction=len(cosines) == 6)


def _has_position(dataset: Dataset, path: Path) -> bool:
    """Return whether a file states where its plane is; a turn of its pixels does not need it."""
    with damage_named(path):
        return len(numbers(first_value(dataset, "PlanePositionSequence", "ImagePositionPatient", 0))) == 3


def _share_a_frame(mask: _Stated, image: _Stated) -> bool:
    """Return whether both state the direction of their plane in the same frame of reference."""
    return mask.frame == image.frame != "" and mask.direction and image.direction


def _directions(dataset: Dataset, path: Path) -> Directions | None:
    with damage_named(path):
        return stored_directions(dataset, 0)
