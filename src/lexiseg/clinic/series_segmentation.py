"""DICOM segmentations over a whole series: one segment per foreground class, one frame per slice with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import (
    LACKING,
    first_value,
    lack_named,
    number_of_frames,
    numbers,
)
from lexiseg.clinic.image import stored_directions
from lexiseg.clinic.object_identity import identity_of
from lexiseg.clinic.orientation import share_on_patient_left
from lexiseg.clinic.result_content import ResultContent
from lexiseg.clinic.segmentation_mask import segment_frame, segment_number
from lexiseg.clinic.segmentation_object import finish, segmentation_kind, segmentation_of
from lexiseg.clinic.series import SliceHeader, has_frames
from lexiseg.clinic.source_header import frames_header, source_header
from lexiseg.clinic.verification import read_back
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: Frames and slices whose positions differ by less lie at the same place.
_SAME_MM = 1e-2
_NO_LIMIT = 2**62


def series_sources(slices: Sequence[SliceHeader], read: Callable[[Path], Dataset]) -> list[Dataset]:
    """Return the headers of the files of a series, without pixels: one per slice, or that of all frames.

    Args:
        slices: The slices in order.
        read: Returns a file without its pixels, such as `lexiseg.clinic.series.file_without_pixels`.

    Raises:
        DataError: A file cannot be read any more, lacks a UID, or is of a kind whose frames no segmentation
            can refer to.
    """
    if has_frames(slices):
        return [frames_header(read(slices[0].path), slices[0].path)]
    return [source_header(read(header.path), header.path, header.frame) for header in slices]


def build_series_segmentation(
    slices: Sequence[SliceHeader],
    sources: Sequence[Dataset],
    name: Path,
    content: ResultContent,
    labels: npt.NDArray[np.uint8],
    *,
    as_labels: bool = False,
) -> Segmentation:
    """Return the segmentation of a series; a label volume without lesions has empty frames for all slices.

    Args:
        slices: The slices in order.
        sources: Their headers, from `series_sources`.
        name: The folder of the series, for messages.
        content: What the segmentation says of its segments and algorithm; their masks are not used.
        labels: `(I, J, K)`, the label of each voxel.
        as_labels: Whether it is a LABELMAP instead of BINARY.

    Raises:
        DataError: The series lacks what a segmentation needs.
    """
    first = sources[0]
    identity = identity_of(first, content, segmentation_kind(as_labels=as_labels))
    # Frames are (rows, columns): (K, J, I). Those of one file lie in the order of the file.
    order = np.argsort([header.frame for header in slices]) if has_frames(slices) else slice(None)
    frames = np.ascontiguousarray(labels.T[order])
    try:
        segmentation = segmentation_of(
            sources,
            frames,
            first,
            content,
            identity,
            as_labels=as_labels,
            omit_empty_frames=bool(labels.any()),
        )
    except LACKING as error:
        raise DataError(
            f"{name} lacks what a segmentation needs: {lack_named(error)}. Export it from the archive.",
            code="LEX-DATA-1203",
        ) from error
    finish(segmentation, first, first, identity)
    return segmentation


def verify_series_segmentation(
    written: Path, slices: Sequence[SliceHeader], first: Dataset, labels: npt.NDArray[np.uint8]
) -> None:
    """Compare a written segmentation with the label volume: every voxel, at the position of its frame.

    Args:
        written: The file.
        slices: The slices of the series in order.
        first: The file of the first slice, with or without pixels.
        labels: `(I, J, K)`, the label of each voxel.

    Raises:
        DataError: They differ, or the file breaks the standard; it must not be kept.
    """
    with read_back(written) as found:
        read = np.zeros_like(labels)
        positions = np.array([header.position for header in slices])
        is_labelmap = str(found.get("SegmentationType", "")).upper() == "LABELMAP"
        frames = has_frames(slices)
        stated_sources = [(header.instance, header.frame + 1 if frames else None) for header in slices]
        for index in range(number_of_frames(found)):
            place = _slice_of_frame(found, index, positions)
            named = _named_sources(found, index)
            if named and stated_sources[place] not in named:
                raise _differs("a frame names another slice than the one at its position")
            frame = segment_frame(found, written, index, pixel_limit=_NO_LIMIT)
            target = read[:, :, place].T
            if is_labelmap:
                target[:] = frame
            else:
                target[frame > 0] = segment_number(found, written, index)
        if not np.array_equal(read, labels):
            raise _differs(f"{counted(int((read != labels).sum()), 'voxel is', 'voxels are')} not the same")
        stated = stored_directions(found, 0)
        wanted = stored_directions(first, slices[0].frame)
        flat = np.asarray(labels.any(axis=2)).T
        if stated is None or wanted is None:
            if stated != wanted:
                raise _differs("only one of it and its series says where the patient's left is")
        elif share_on_patient_left(flat, stated) != share_on_patient_left(flat, wanted):
            raise _differs("it lies on another side of the patient")


def _slice_of_frame(found: Dataset, index: int, positions: npt.NDArray[np.float64]) -> int:
    """Return the slice at the position that a frame states."""
    stated = numbers(first_value(found, "PlanePositionSequence", "ImagePositionPatient", index))
    if len(stated) != 3:
        raise _differs(f"frame {index + 1} states no position")
    distances = np.linalg.norm(positions - np.array(stated), axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > _SAME_MM:
        raise _differs(f"frame {index + 1} lies {distances[nearest]:.2f} mm beside the nearest slice")
    return nearest


def _named_sources(found: Dataset, index: int) -> set[tuple[str, int | None]]:
    """Return the images that a frame states as its source, each with the number of its frame."""
    group = found.PerFrameFunctionalGroupsSequence[index]
    return {
        (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))
        for derivation in group.get("DerivationImageSequence", [])
        for image in derivation.get("SourceImageSequence", [])
    }


def _differs(what: str) -> DataError:
    return DataError(
        f"The written segmentation differs from the label volume: {what}. It is not kept.",
        code="LEX-DATA-1204",
    )
