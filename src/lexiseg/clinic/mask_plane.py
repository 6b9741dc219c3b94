"""Where a mask in an ordinary DICOM file lies on its image: as it says, where both say it in the same way."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, numbers
from lexiseg.clinic.image import stored_directions
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_mask import is_segmentation
from lexiseg.clinic.segmentation_plane import states_place, turn_of_segmentation
from lexiseg.errors import DataError

#: Functional group, attribute, and its count of numbers.
_DIRECTION = ("PlaneOrientationSequence", "ImageOrientationPatient", 6)
_POSITION = ("PlanePositionSequence", "ImagePositionPatient", 3)


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
    has_plane = _states(mask, *_DIRECTION) or _states(image, *_DIRECTION)
    if (is_segmentation(mask) and has_plane) or _share_a_frame(mask, image):
        return turn_of_segmentation(mask, path, image, image_path)
    with damage_named(path):
        own = stored_directions(mask, 0)
    with damage_named(image_path):
        expected = stored_directions(image, 0)
    if own is None or expected is None or own == expected:
        return NO_TURN
    raise DataError(
        f"{path} is a mask whose rows and columns run towards {own.row} and {own.column} of the patient; "
        f"those of its image {image_path} run towards {expected.row} and {expected.column}. Store the mask "
        "like the image, or correct its ImageOrientationPatient and PatientOrientation.",
        code="LEX-DATA-2012",
    )


def says_where(mask: Dataset, image: Dataset) -> bool:
    """Return whether a mask says how and where it lies on its image, so that it can be compared.

    An image that states a plane is compared with a mask that states direction and position in the same frame
    of reference. Radiographs state directions alone.

    Args:
        mask: The mask in a DICOM file.
        image: The image.
    """
    if is_segmentation(mask):
        return states_place(mask, image)
    if _states(image, *_DIRECTION):
        return _share_a_frame(mask, image) and _states(mask, *_POSITION) and _states(image, *_POSITION)
    return stored_directions(mask, 0) is not None and stored_directions(image, 0) is not None


def _share_a_frame(mask: Dataset, image: Dataset) -> bool:
    """Return whether both state the direction of their plane in the same frame of reference."""
    frames = {str(dataset.get("FrameOfReferenceUID") or "") for dataset in (mask, image)}
    return (
        len(frames) == 1
        and "" not in frames
        and all(_states(dataset, *_DIRECTION) for dataset in (mask, image))
    )


def _states(dataset: Dataset, group: str, keyword: str, count: int) -> bool:
    """Return whether a file states an attribute of so many numbers of its plane."""
    return len(numbers(first_value(dataset, group, keyword, 0))) == count
