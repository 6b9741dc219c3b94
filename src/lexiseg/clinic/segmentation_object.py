"""DICOM segmentations (SEG): one segment per foreground class, on the grid of the source image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import uid
from pydicom.dataset import Dataset

from lexiseg.clinic.coded_concepts import ABNORMAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, concept
from lexiseg.clinic.dataset import LACKING, all_items, lack_named
from lexiseg.clinic.object_identity import (
    ObjectIdentity,
    ObjectKind,
    derived_uid,
    fix_identity,
    identity_of,
)
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS, ResultContent
from lexiseg.clinic.source_header import referenced_frame, source_header
from lexiseg.errors import DataError

MANUFACTURER = "Lexiseg"
RESEARCH = "RESEARCH"

# It warns of sources without a frame of reference and of empty masks, which are usual here.
warnings.filterwarnings("ignore", module=r"highdicom")

#: SOP classes: of BINARY segmentations, and of LABELMAP ones.
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

_SLICE = "1.2.840.10008.5.1.4.1.1.2"
_PICTURE = "1.2.840.10008.5.1.4.1.1.7"

#: Longest text of many attributes of DICOM.
LONGEST_LABEL = 64


def build_segmentation(
    source: Dataset, path: Path, content: ResultContent, *, as_labels: bool = False
) -> Segmentation:
    """Return the segmentation of a prediction.

    It is BINARY, which all viewers of segmentations show, or LABELMAP. A mask without pixels is one empty
    frame. Without a frame of reference, as for radiographs, it states the patient orientation of the source.

    Args:
        source: The source image.
        path: Its name, for messages.
        content: The prediction.
        as_labels: Whether it is a LABELMAP.

    Raises:
        DataError: The source lacks what a segmentation needs.
    """
    index = content.facts.frame - 1
    header = source_header(source, path, index)
    identity = identity_of(source, content, segmentation_kind(as_labels=as_labels))
    frame = referenced_frame(source, index)
    if frame is not None:
        as_single_frame(header)
    try:
        segmentation = segmentation_of(
            [header], content.labels[None], source, content, identity, as_labels=as_labels
        )
    except LACKING as error:
        raise DataError(
            f"{path} lacks what a segmentation needs: {lack_named(error)}. Export it from the archive.",
            code="LEX-DATA-971",
        ) from error
    finish(segmentation, header, source, identity)
    if frame is not None:
        _name_source_frame(segmentation, source, frame)
    return segmentation


def segmentation_kind(*, as_labels: bool) -> ObjectKind:
    """Return the kind of object that a BINARY segmentation or a LABELMAP is."""
    return "labelmap" if as_labels else "seg"


def as_single_frame(header: Dataset) -> None:
    """Give the header of one frame the class of a single image; `restore_class` takes it back.

    Of a class of several frames, highdicom wants all of them.
    """
    header.SOPClassUID = _SLICE if "FrameOfReferenceUID" in header else _PICTURE


def restore_class(written: Dataset, source: Dataset) -> None:
    """Let all references to a source image name its own class; see `as_single_frame`."""
    for item in all_items(written):
        if item.get("ReferencedSOPInstanceUID") == source.SOPInstanceUID:
            item.ReferencedSOPClassUID = source.SOPClassUID


def segmentation_of(
    headers: Sequence[Dataset],
    labels: npt.NDArray[np.uint8],
    described: Dataset,
    content: ResultContent,
    identity: ObjectIdentity,
    *,
    as_labels: bool,
    omit_empty_frames: bool = False,
) -> Segmentation:
    """Return a segmentation of one image or of a series; `finish` completes it.

    Args:
        headers: The headers of the source images, in order.
        labels: `(frames, rows, columns)`: classes do not overlap, so one label per pixel holds all of them.
        described: The source image that the segments are derived from.
        content: What the segmentation says of its segments and algorithm; its masks are not used.
        identity: What identifies the object.
        as_labels: Whether it is a LABELMAP instead of BINARY.
        omit_empty_frames: Whether frames without a segment are left out.

    Raises:
        LACKING: The headers lack what a segmentation needs.
    """
    return Segmentation(
        source_images=list(headers),
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.LABELMAP if as_labels else SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions(described, content),
        series_instance_uid=identity.series_uid,
        series_number=identity.series_number,
        sop_instance_uid=identity.instance_uid,
        instance_number=identity.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=content.algorithm.name[:LONGEST_LABEL],
        software_versions=content.algorithm.software_version,
        device_serial_number=derived_uid(content.algorithm.identity)[-16:],
        content_description=NOT_FOR_DIAGNOSIS,
        content_label="SEGMENTATION",
        omit_empty_frames=omit_empty_frames,
        series_description=f"Lexiseg {_kind(content)}. {NOT_FOR_DIAGNOSIS}"[:LONGEST_LABEL],
        content_qualification=RESEARCH,
    )


def finish(written: Dataset, header: Dataset, source: Dataset, identity: ObjectIdentity) -> None:
    """Set what all objects have: character set, orientation and moments; the last step of building one."""
    written.SpecificCharacterSet = "ISO_IR 192"
    if "FrameOfReferenceUID" not in header and "PixelData" in written:
        # Of type 2C: it may be empty, but it must be there.
        written.PatientOrientation = source.get("PatientOrientation") or ""
    if source.get("AnatomicalOrientationType") and "PixelData" in written:
        # Directions of animals on four feet are other ones.
        written.AnatomicalOrientationType = source.AnatomicalOrientationType
    fix_identity(written, identity, source)
    written.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian


def descriptions(source: Dataset, content: ResultContent) -> list[SegmentDescription]:
    """Return what a segmentation says of its segments; their tracking UIDs are derived from the source."""
    algorithm = content.algorithm
    kind = (
        SegmentAlgorithmTypeValues.AUTOMATIC
        if content.correction is None
        else SegmentAlgorithmTypeValues.SEMIAUTOMATIC
    )
    identification = highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name[:LONGEST_LABEL],
        family=ARTIFICIAL_INTELLIGENCE,
        version=algorithm.version,
        source=MANUFACTURER,
        parameters=dict(algorithm.parameters),
    )
    return [
        SegmentDescription(
            segment_number=segment.number,
            segment_label=segment.name[:LONGEST_LABEL],
            segmented_property_category=ABNORMAL_STRUCTURE,
            segmented_property_type=concept(segment.code) if segment.code is not None else ABNORMAL_STRUCTURE,
            algorithm_type=kind,
            algorithm_identification=identification,
            tracking_uid=tracking_uid(source, content, segment.number),
            tracking_id=tracking_name(segment.number, segment.name),
        )
        for segment in content.segments
    ]


def _kind(content: ResultContent) -> str:
    return "segmentation" if content.correction is None else "corrected mask"


def tracking_uid(source: Dataset, content: ResultContent, number: int) -> str:
    """Return the UID that ties a segment to the findings of a report."""
    instance, frame = content.tracked or (str(source.SOPInstanceUID), content.facts.frame)
    return derived_uid("segment", instance, str(frame), content.algorithm.identity, str(number))


def tracking_name(number: int, name: str) -> str:
    """Return the name of a segment in segmentation and report."""
    return f"{number} {name}"[:LONGEST_LABEL]


def _name_source_frame(segmentation: Segmentation, source: Dataset, frame: int) -> None:
    """Say which frame of the source was segmented; files of one frame need no number."""
    for group in segmentation.get("PerFrameFunctionalGroupsSequence", []):
        for derivation in group.get("DerivationImageSequence", []):
            for image in derivation.get("SourceImageSequence", []):
                image.ReferencedFrameNumber = frame
    restore_class(segmentation, source)
