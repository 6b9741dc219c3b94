"""Checks of a written object before it gets its name: it is read back and laid over the prediction."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import all_items, read_dataset
from lexiseg.clinic.image import stored_directions
from lexiseg.clinic.laterality_guard import check_written_side
from lexiseg.clinic.outlines import Outline, outlines, region_of
from lexiseg.clinic.result_content import ResultContent
from lexiseg.clinic.segmentation_mask import segmentation_labels
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: The checker of dicom3tools.
VALIDATOR = "dciodvfy"

_SECONDS = 60
_NO_LIMIT = 2**62
# The checker does not know label maps, and takes references to them for errors.
_UNKNOWN_TO_VALIDATOR = "1.2.840.10008.5.1.4.1.1.66.7"


def verify_segmentation(written: Path, source: Dataset, content: ResultContent) -> None:
    """Compare a written segmentation with the prediction: every pixel, its source, its orientation, its side.

    Args:
        written: The file.
        source: The source image.
        content: The prediction.

    Raises:
        DataError: They differ; the file must not be kept.
    """
    with read_back(written, source) as found:
        labels = segmentation_labels(found, written, pixel_limit=_NO_LIMIT)
        wanted = content.labels
        if labels.shape != wanted.shape or not np.array_equal(labels, wanted):
            differing = int((labels != wanted).sum()) if labels.shape == wanted.shape else wanted.size
            raise DataError(
                f"The written segmentation differs from the mask in {counted(differing, 'pixel')}. It is not "
                "kept.",
                code="LEX-DATA-977",
            )
        check_written_side(content, labels > 0, stored_directions(found, 0))


def verify_report(
    written: Path, source: Dataset, content: ResultContent, segmentation: Dataset | None
) -> None:
    """Compare a written report with the prediction: its outlines pixel by pixel, and what it refers to.

    Args:
        written: The file.
        source: The source image.
        content: The prediction.
        segmentation: The segmentation that it refers to; None without one.

    Raises:
        DataError: They differ; the file must not be kept.
    """
    with read_back(written, source) as found:
        check_report_outlines(found, content)
        named = named_instances(found)
        if segmentation is not None and content.labels.any() and segmentation.SOPInstanceUID not in named:
            raise DataError(
                "The written report does not refer to the segmentation. It is not kept.", code="LEX-DATA-979"
            )


def verify_presentation_state(written: Path, source: Dataset, content: ResultContent) -> None:
    """Compare a written presentation state with the prediction: its outlines, and what it refers to.

    Args:
        written: The file.
        source: The source image.
        content: The prediction.

    Raises:
        DataError: They differ; the file must not be kept.
    """
    with read_back(written, source) as found:
        differing = _differing_outlines(found, content)
        if differing:
            raise DataError(
                "The outlines of the written presentation state differ from the mask in "
                f"{counted(differing, 'pixel')}. It is not kept.",
                code="LEX-DATA-1221",
            )


def verify_capture(
    written: Path, source: Dataset, content: ResultContent, picture: npt.NDArray[np.uint8]
) -> None:
    """Compare a written secondary capture with its picture.

    Raises:
        DataError: They differ; the file must not be kept.
    """
    with read_back(written, source) as found:
        if (
            not np.array_equal(found.pixel_array, picture)
            or stored_directions(found, 0) != content.facts.directions
        ):
            raise DataError(
                "The written secondary capture differs from its picture. It is not kept.", code="LEX-DATA-980"
            )


@contextmanager
def read_back(written: Path, source: Dataset | None = None) -> Iterator[Dataset]:
    """Yield a written object for a comparison with what it should hold; then check it against the standard.

    Args:
        written: The file.
        source: The source image, where the object refers to one image.

    Raises:
        DataError: The object is damaged, does not refer to its source, or breaks the standard.
    """
    found = read_dataset(written.read_bytes(), written)
    if source is not None:
        _check_source(found, source)
    yield found
    validate(written, found)


def validate(written: Path, found: Dataset) -> None:
    """Run `dciodvfy` on a file, where it is installed, and refuse what breaks the standard.

    Raises:
        DataError: It finds an error.
    """
    program = shutil.which(VALIDATOR)
    classes = {str(item.get("ReferencedSOPClassUID", "")) for item in all_items(found)}
    if program is None or _UNKNOWN_TO_VALIDATOR in classes | {str(found.SOPClassUID)}:
        return
    try:
        ran = subprocess.run(
            [program, str(written)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DataError(
            f"{VALIDATOR} could not check the written object ({error}). It is not kept; run the command "
            "again.",
            code="LEX-DATA-985",
        ) from error
    errors = [line for line in ran.stderr.splitlines() if line.startswith("Error")]
    if errors:
        raise DataError(
            f"{VALIDATOR} finds {counted(len(errors), 'error')} in the written object, such as: {errors[0]}. "
            "It is not kept.",
            code="LEX-DATA-981",
        )


def check_report_outlines(found: Dataset, content: ResultContent) -> None:
    """Compare the outlines in a report with the masks of a prediction, pixel by pixel.

    Raises:
        DataError: They differ; the report must not be kept.
    """
    differing = _differing_outlines(found, content)
    if differing:
        raise DataError(
            "The outlines of the written report differ from the mask in "
            f"{counted(differing, 'pixel')}. It is not kept.",
            code="LEX-DATA-978",
        )


def _differing_outlines(found: Dataset, content: ResultContent) -> int:
    """Return the number of pixels in which the outlines of an object differ from those of the mask."""
    polygons = [item.GraphicData for item in all_items(found) if item.get("GraphicType") == "POLYLINE"]
    shape = content.labels.shape
    drawn, expected = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for values in polygons:
        points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
        drawn |= region_of(Outline(points=points, area_px=0), shape)
    for segment in content.segments:
        for outline in outlines(segment.mask)[0]:
            expected |= region_of(outline, shape)
    return int((drawn != expected).sum())


def _check_source(found: Dataset, source: Dataset) -> None:
    same_study = found.StudyInstanceUID == source.StudyInstanceUID
    if not same_study or str(source.SOPInstanceUID) not in named_instances(found):
        raise DataError(
            "The written object does not refer to its source image. It is not kept.", code="LEX-DATA-982"
        )


def named_instances(found: Dataset) -> set[str]:
    """Return all instances to which an object refers, at any depth."""
    return {
        str(item.ReferencedSOPInstanceUID) for item in all_items(found) if "ReferencedSOPInstanceUID" in item
    }
