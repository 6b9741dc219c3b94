"""DICOM segmentations as masks of a data set: one label per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import BROKEN, number_of_frames
from lexiseg.clinic.frame_pixels import decode_frame
from lexiseg.errors import DataError

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


def is_segmentation(dataset: Dataset) -> bool:
    """Return whether the file is a segmentation (SEG)."""
    return str(dataset.get("SOPClassUID", "")) in _SEGMENTATIONS


def segmentation_labels(dataset: Dataset, path: Path, *, pixel_limit: int) -> npt.NDArray[np.uint32]:
    """Return the segment number of each pixel, 0 where there is none; of a segmentation of one image.

    They are on the grid of the segmentation; `segmentation_plane` knows the turn to that of the image.

    Probabilities (FRACTIONAL) of at least one half count. Where segments overlap, the first one counts.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.
        pixel_limit: Largest number of pixels of a frame that is read.

    Returns:
        `(H, W)` uint32.

    Raises:
        DataError: The file is damaged, or segments several images.
    """
    kind = str(dataset.get("SegmentationType", "")).upper()
    frames = number_of_frames(dataset)
    if kind == "LABELMAP":
        if frames > 1:
            raise _several_images(path)
        return segment_frame(dataset, path, 0, pixel_limit=pixel_limit).astype(np.uint32)
    half = (int(dataset.get("MaximumFractionalValue", 255)) + 1) // 2 if kind == "FRACTIONAL" else 1
    labels: npt.NDArray[np.uint32] | None = None
    seen: set[int] = set()
    for index in range(frames):
        number = segment_number(dataset, path, index)
        if number in seen:
            raise _several_images(path)
        seen.add(number)
        frame = segment_frame(dataset, path, index, pixel_limit=pixel_limit) >= half
        labels = np.zeros(frame.shape, np.uint32) if labels is None else labels
        labels[frame & (labels == 0)] = number
    assert labels is not None
    return labels


def segmented_series(dataset: Dataset) -> dict[str, set[str]]:
    """Return the UIDs of the images that a segmentation refers to, by their series."""
    return {
        str(series.get("SeriesInstanceUID", "")): {
            str(item.get("ReferencedSOPInstanceUID", ""))
            for item in series.get("ReferencedInstanceSequence") or []
        }
        for series in dataset.get("ReferencedSeriesSequence") or []
    }


def frames_of_images(dataset: Dataset, path: Path) -> dict[str, list[int]]:
    """Return the frames that are derived from each image, by its UID, from 0.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.

    Raises:
        DataError: A frame names no image.
    """
    found: dict[str, list[int]] = {}
    for index in range(number_of_frames(dataset)):
        for instance in _images_of_frame(dataset, path, index):
            found.setdefault(instance, []).append(index)
    return found


def labels_of_frames(
    dataset: Dataset, path: Path, frames: Sequence[int], *, pixel_limit: int
) -> npt.NDArray[np.uint32]:
    """Return the segment number of each pixel of one image of a segmented series; 0 where there is none.

    They are on the grid of the segmentation; `segmentation_plane` knows the turn to that of the image.

    Probabilities (FRACTIONAL) of at least one half count. Where segments overlap, the first one counts. An
    image without a frame has no segment.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.
        frames: The frames that are derived from the image, from 0, see `frames_of_images`.
        pixel_limit: Largest number of pixels of a frame that is read.

    Returns:
        `(H, W)` uint32.

    Raises:
        DataError: The file is damaged.
    """
    kind = str(dataset.get("SegmentationType", "")).upper()
    half = (int(dataset.get("MaximumFractionalValue", 255)) + 1) // 2 if kind == "FRACTIONAL" else 1
    labels = np.zeros((int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0))), np.uint32)
    for index in frames:
        frame = segment_frame(dataset, path, index, pixel_limit=pixel_limit)
        if kind == "LABELMAP":
            labels[labels == 0] = frame[labels == 0]
        else:
            labels[(frame >= half) & (labels == 0)] = segment_number(dataset, path, index)
    return labels


def segment_frame(dataset: Dataset, path: Path, index: int, *, pixel_limit: int) -> npt.NDArray[Any]:
    """Return the stored numbers of one frame, `(H, W)`; a palette only gives segments colours.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.
        index: The frame, from 0.
        pixel_limit: Largest number of pixels of a frame that is read.

    Raises:
        DataError: The file is damaged, or its frames are pictures in colours.
    """
    frame = decode_frame(dataset, path, index, pixel_limit=pixel_limit, as_indices=True)
    if frame.ndim != 2:
        raise DataError(
            f"{path} is a segmentation whose frames hold three colours per pixel; expected one number. "
            "Export it again, as BINARY or LABELMAP.",
            code="LEX-DATA-1890",
        )
    return frame


def _images_of_frame(dataset: Dataset, path: Path, index: int) -> set[str]:
    """Return the UIDs of the images that a frame is derived from.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.
        index: The frame, from 0.

    Raises:
        DataError: The frame names no image.
    """
    try:
        found = {
            str(image.ReferencedSOPInstanceUID)
            for derivation in dataset.PerFrameFunctionalGroupsSequence[index].get("DerivationImageSequence")
            or []
            for image in derivation.get("SourceImageSequence") or []
        }
    except BROKEN as error:
        raise DataError(
            f"{path} is a damaged segmentation: frame {index + 1} has no functional groups ({error}). Export "
            "it again.",
            code="LEX-DATA-1227",
        ) from error
    if not found:
        raise DataError(
            f"{path} does not say to which image its frame {index + 1} belongs (DerivationImageSequence). "
            "Save one segmentation per image.",
            code="LEX-DATA-1228",
        )
    return found


def segment_number(dataset: Dataset, path: Path, index: int) -> int:
    """Return the segment of a frame.

    Args:
        dataset: The segmentation.
        path: Its name, for messages.
        index: The frame, from 0.

    Raises:
        DataError: The frame names no segment.
    """
    try:
        for groups in (
            dataset.PerFrameFunctionalGroupsSequence[index],
            dataset.get("SharedFunctionalGroupsSequence", [Dataset()])[0],
        ):
            if "SegmentIdentificationSequence" in groups:
                return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    except BROKEN as error:
        raise DataError(
            f"{path} is a damaged segmentation: frame {index + 1} names no segment ({error}). Export it "
            "again.",
            code="LEX-DATA-960",
        ) from error
    raise DataError(
        f"{path} is a damaged segmentation: frame {index + 1} names no segment. Export it again.",
        code="LEX-DATA-961",
    )


def _several_images(path: Path) -> DataError:
    return DataError(
        f"{path} segments several slices or frames; expected the mask of one image. Save one segmentation "
        "per image.",
        code="LEX-DATA-962",
    )
