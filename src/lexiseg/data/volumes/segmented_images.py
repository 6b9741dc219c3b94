"""DICOM segmentations of a series as masks of its images: each image has a path below the segmentation.

`masks/seg.dcm/UID/s01_label.png` is what the segmentation `masks/seg.dcm` says of the image `images/s01.dcm`
with that UID. There are no such files: `lexiseg.data.content.read_content` returns the labels as PNG, on the
grid of the segmentation; `turn_to_image` is the way from there to the stored grid of the image.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import BROKEN, read_dataset, read_without_large_values
from lexiseg.clinic.detection import HEAD_BYTES, is_dicom
from lexiseg.clinic.mask_plane import says_where, turn_of_mask
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.segmentation_mask import (
    frames_of_images,
    is_segmentation,
    labels_of_frames,
    segmented_series,
)
from lexiseg.clinic.segmentation_plane import turn_of_segmentation
from lexiseg.data.decoding.container import pixel_limit
from lexiseg.data.volumes.volume_names import LABELS_ENDING
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors

_KEPT_OPEN = 4
_opening = Lock()
_IDENTITY = ["SOPInstanceUID", "SeriesInstanceUID"]
_REFERENCES = ["SOPClassUID", "ReferencedSeriesSequence"]


@dataclass(frozen=True, kw_only=True)
class _Segmentation:
    """An opened segmentation of a series, and the frames of each image by its UID."""

    dataset: Dataset
    frames: Mapping[str, Sequence[int]]


def series_of_segmentation(path: Path) -> frozenset[str]:
    """Return the UIDs of the series that a DICOM segmentation of several images segments; else empty.

    A file that cannot be read has none: reading it as a mask says why.
    """
    try:
        with open_errors(path):
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=_REFERENCES)
        found = segmented_series(dataset) if is_segmentation(dataset) else {}
    except BROKEN:
        return frozenset()
    return frozenset(found) if sum(map(len, found.values())) > 1 else frozenset()


def segmented_paths(
    segmentations: Mapping[Path, frozenset[str]], images: Sequence[tuple[Path, str]]
) -> list[Path]:
    """Return the paths of the labels of all images of segmented series.

    Args:
        segmentations: The UIDs of the series that each segmentation segments.
        images: DICOM images, each with the beginning of the name of its labels.
    """
    of_series: dict[str, list[str]] = {}
    for image, stem in images:
        try:
            with open_errors(image):
                header = dcmread(image, stop_before_pixels=True, specific_tags=_IDENTITY)
        except BROKEN:
            continue  # it is reported where the image is read
        labels = f"{header.get('SOPInstanceUID', '')}/{stem}{LABELS_ENDING}"
        of_series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(labels)
    return [
        segmentation / labels
        for segmentation, series in segmentations.items()
        for uid in sorted(series)
        for labels in of_series.get(uid, ())
    ]


def segmented_image(path: Path) -> bytes:
    """Return the labels of one image as PNG.

    Raises:
        DataError: The segmentation is damaged, or has too many segments.
    """
    file = path.parent.parent
    opened = _open(file)
    frames = opened.frames.get(path.parent.name, ())
    labels = labels_of_frames(opened.dataset, file, frames, pixel_limit=pixel_limit())
    if labels.max(initial=0) > np.iinfo(np.uint16).max:
        raise DataError(f"{file} has segments above number 65535. Number them from 1.", code="LEX-DATA-1229")
    kind: type[np.unsignedinteger] = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    buffer = io.BytesIO()
    Image.fromarray(labels.astype(kind)).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def turn_to_image(content: bytes, mask: Path, image: Path) -> Turn:
    """Return the turn from the grid of a mask in a DICOM file to the stored grid of its image.

    Args:
        content: The mask, as `lexiseg.data.content.read_content` returns it.
        mask: Its path.
        image: Path of the image. For other files than DICOM there is no turn.

    Raises:
        DataError: The mask does not lie on the pixels of the image, or a file is damaged.
    """
    header = _header_of(image)
    if header is None:
        return NO_TURN
    if not is_dicom(content):
        segmentation = mask.parent.parent
        opened = _open(segmentation)
        frames = opened.frames.get(mask.parent.name, ())
        return turn_of_segmentation(opened.dataset, segmentation, header, image, frames=frames)
    return turn_of_mask(read_dataset(content, mask), mask, header, image)


def place_is_unknown(content: bytes, mask: Path, image: Path) -> bool:
    """Return whether a mask in a DICOM file does not say how it lies on its image, a DICOM file too.

    Args:
        content: The mask.
        mask: Its path.
        image: Path of the image.

    Raises:
        DataError: A file is damaged.
    """
    header = _header_of(image) if is_dicom(content) else None
    return header is not None and not says_where(read_dataset(content, mask), mask, header, image)


def _header_of(image: Path) -> Dataset | None:
    """Return the header of a DICOM image; None for another file, and for one that cannot be opened."""
    try:
        with open_errors(image), image.open("rb") as file:
            if not is_dicom(file.read(HEAD_BYTES)):
                return None
            file.seek(0)
            return read_without_large_values(file, image)
    except OSError:
        return None  # it is reported where the image is read


def _open(file: Path) -> _Segmentation:
    # By one thread at a time: several would read the same file.
    with _opening:
        return _opened(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=_KEPT_OPEN)
def _opened(file: Path, changed: int) -> _Segmentation:
    dataset = read_dataset(file.read_bytes(), file)
    # Looked up once: a search through all frames for each image would take the square of their number.
    return _Segmentation(dataset=dataset, frames=frames_of_images(dataset, file))
