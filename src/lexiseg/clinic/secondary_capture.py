"""Secondary captures (SC): a picture of the result, for viewers that show no segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from lexiseg.clinic.coded_concepts import SOURCE_IMAGE
from lexiseg.clinic.dataset import LACKING, lack_named
from lexiseg.clinic.object_identity import identity_of
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS, ResultContent
from lexiseg.clinic.segmentation_object import MANUFACTURER, RESEARCH, finish
from lexiseg.clinic.source_header import referenced_frame, source_header
from lexiseg.errors import DataError

_LONGEST_LABEL = 64


def build_capture(
    source: Dataset,
    path: Path,
    content: ResultContent,
    picture: npt.NDArray[np.uint8],
    others: Sequence[tuple[Dataset, int | None]] = (),
) -> SCImage:
    """Return a picture of the result as a secondary capture of the same study.

    Args:
        source: The source image.
        path: Its name, for messages.
        content: The prediction.
        picture: `(H, W, 3)` uint8, in the directions that the facts of `content` state.
        others: What else the picture shows of the study: headers of images, each with the number of a frame
            in a file of several.

    Raises:
        DataError: The source lacks what a secondary capture needs.
    """
    header = source_header(source, path, content.facts.frame - 1)
    identity = identity_of(source, content, "sc")
    try:
        capture = SCImage.from_ref_dataset(
            ref_dataset=header,
            pixel_array=picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            series_instance_uid=identity.series_uid,
            series_number=identity.series_number,
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=MANUFACTURER,
            patient_orientation=_orientation(content),
            series_description=f"Lexiseg overlay. {NOT_FOR_DIAGNOSIS}"[:_LONGEST_LABEL],
            manufacturer_model_name=content.algorithm.name[:_LONGEST_LABEL],
            software_versions=content.algorithm.software_version,
            content_qualification=RESEARCH,
        )
    except LACKING as error:
        raise DataError(
            f"{path} lacks what a secondary capture needs: {lack_named(error)}. Export it from the archive.",
            code="LEX-DATA-976",
        ) from error
    # What is burned into the source is burned into the capture; this adds a line of text without any name.
    if source.get("BurnedInAnnotation") in ("YES", "NO"):
        capture.BurnedInAnnotation = source.BurnedInAnnotation
    capture.DerivationDescription = f"Outline of the predicted mask. {NOT_FOR_DIAGNOSIS}"
    capture.Laterality = source.get("Laterality") or ""
    capture.ImageType = ["DERIVED", "SECONDARY"]
    shown = [(header, referenced_frame(source, content.facts.frame - 1)), *others]
    capture.SourceImageSequence = [_reference(image, frame) for image, frame in shown]
    finish(capture, header, source, identity)
    found = content.facts.directions
    capture.PatientOrientation = [] if found is None else [found.row, found.column]
    return capture


def _reference(header: Dataset, frame: int | None) -> Dataset:
    """Return what names the source image, and its frame in a file of several."""
    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if frame is not None:
        found.ReferencedFrameNumber = frame
    found.PurposeOfReferenceCodeSequence = [SOURCE_IMAGE]
    return found


def _orientation(content: ResultContent) -> tuple[str, str]:
    found = content.facts.directions
    # Replaced by an empty value afterwards where the orientation is not known; the library demands one.
    return ("L", "F") if found is None else (found.row, found.column)
