"""The bytes of images and masks, also of those in a larger file, and how they lie on their display.

A slice of a volume and the labels of one image in a segmentation of a series have paths, but no files of
their own (`lexiseg.data.volumes`). That package is loaded where such a path is read.
"""

from __future__ import annotations

from pathlib import Path

from lexiseg.clinic.detection import is_dicom, require_dicom
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.data.decoding.dicom import open_dicom_image
from lexiseg.data.stored_content import stored_content
from lexiseg.data.volumes.volume_names import LABELS_ENDING, is_volume_file


def read_content(path: Path) -> bytes:
    """Return the bytes of a file; of a slice or labels in a larger file (`lexiseg.data.volumes`), a PNG.

    Raises:
        DataError: The file does not exist, cannot be read, or is too large.
    """
    if is_volume_file(path.parent):
        from lexiseg.data.volumes.slice_files import is_slice, slice_content

        if is_slice(path) and path.parent.is_file():
            return slice_content(path)
    if _is_of_series(path):
        from lexiseg.data.volumes.segmented_images import segmented_image

        return segmented_image(path)
    return stored_content(path)


def mask_turn(content: bytes, mask: Path, image: Path) -> Turn:
    """Return the turn from the grid of a mask to the stored grid of its image; only DICOM files have one.

    Args:
        content: The mask, as `read_content` returns it.
        mask: Its path.
        image: The path of the image.

    Raises:
        DataError: A DICOM mask does not lie on the pixels of the image, or a file is damaged.
        UsageError: A file is a DICOM file, and pydicom is not installed.
    """
    if not is_dicom(content) and not _is_of_series(mask):
        return NO_TURN
    require_dicom(mask)
    from lexiseg.data.volumes.segmented_images import turn_to_image

    return turn_to_image(content, mask, image)


def mask_place_is_unknown(content: bytes, mask: Path, image: Path) -> bool:
    """Return whether a mask in a DICOM file does not say how it lies on its image, a DICOM file too.

    Args:
        content: The mask, as `read_content` returns it.
        mask: Its path.
        image: The path of the image.

    Raises:
        DataError: A file is damaged.
        UsageError: A file is a DICOM file, and pydicom is not installed.
    """
    if not is_dicom(content):
        return False
    require_dicom(mask)
    from lexiseg.data.volumes.segmented_images import place_is_unknown

    return place_is_unknown(content, mask, image)


def _is_of_series(path: Path) -> bool:
    """Return whether a path is that of the labels of an image in a segmentation of a series."""
    return path.name.endswith(LABELS_ENDING) and path.parent.parent.is_file()


def image_turn(path: Path) -> Turn:
    """Return what turns an image file to its usual display; only DICOM files state one.

    Raises:
        DataError: The file is missing, or is a DICOM file that cannot be read.
    """
    content = read_content(path)
    return open_dicom_image(content, path).facts.turn if is_dicom(content) else NO_TURN
