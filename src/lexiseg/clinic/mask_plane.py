"""Where a mask in an ordinary DICOM file lies on its image: as it says, where both say it in the same way."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import damage_named, first_value, numbers
from lexiseg.clinic.image import stored_directions
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_mask import is_segmentation
from lexiseg.clinic.segmentation_plane import turn_of_segmentation
from lexiseg.errors import DataError


def turn_of_mask(mask: Dataset, path: Path, image: Dataset, image_path: Path) -> Turn:
    """Return the turn from the grid of a mask in a DICOM file to that of its image.

    Planes are compared where both state one in the same frame of reference; else the letters of
    PatientOrientation. Without both, the mask is taken as it is stored (`says_where`).

    Args:
        mask: The mask; it may be a segmentation, see `turn_of_segmentation`.
        path: Its name, for messages.
        image: The image; its pixels are not needed.
        image_path: Its name, for messages.

    Raises:
        DataError: The mask does not lie on the pixels of the image, or in other directions; or a file is
            damaged.
    """
    if is_segmentation(mask) or _share_a_frame(mask, image):
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
    """Return whether a mask says how it lies on its image, so that it can be compared.

    Args:
        mask: The mask in a DICOM file.
        image: The image.
    """
    if is_segmentation(mask) or _share_a_frame(mask, image):
        return True
    return stored_directions(mask, 0) is not None and stored_directions(image, 0) is not None


def _share_a_frame(mask: Dataset, image: Dataset) -> bool:
    """Return whether both state a plane in the same frame of reference."""
    frames = {str(dataset.get("FrameOfReferenceUID") or "") for dataset in (mask, image)}
    return len(frames) == 1 and "" not in frames and _states_plane(mask) and _states_plane(image)


def _states_plane(dataset: Dataset) -> bool:
    cosines = first_value(dataset, "PlaneOrientationSequence", "ImageOrientationPatient", 0)
    return cosines is not None and len(numbers(cosines)) == 6
