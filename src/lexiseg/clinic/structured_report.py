"""Structured reports (Comprehensive 3D SR, TID 1500): words, areas, outlines, agreement and the flag.

One measurement group (TID 1501) holds what is said of the image as a whole. One group per segment (TID 1411)
refers to the segmentation, and one group per region (TID 1410) holds its outline in the image, for viewers
that draw no group of a segment. All groups of a segment have its tracking UID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    SourceImageForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from lexiseg.clinic.coded_concepts import (
    ABNORMAL_STRUCTURE,
    AREA,
    IMAGING_PROCEDURE,
    NUMBER_OF_LESIONS,
    PIXELS,
    RATIO,
    SQUARE_MILLIMETRES,
    concept,
)
from lexiseg.clinic.dataset import LACKING, lack_named
from lexiseg.clinic.object_identity import ObjectIdentity, derived_uid, identity_of
from lexiseg.clinic.outlines import outlines
from lexiseg.clinic.report_items import summary_items, word_items
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS, ResultContent, SegmentContent
from lexiseg.clinic.segmentation_object import (
    MANUFACTURER,
    RESEARCH,
    finish,
    tracking_name,
    tracking_uid,
)
from lexiseg.clinic.source_header import referenced_frame, source_header
from lexiseg.errors import DataError

_LONGEST_LABEL = 64

Group = (
    MeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | VolumetricROIMeasurementsAndQualitativeEvaluations
)


def build_report(
    source: Dataset, path: Path, content: ResultContent, segmentation: Dataset | None
) -> Comprehensive3DSR:
    """Return the structured report of a prediction.

    Args:
        source: The source image.
        path: Its name, for messages.
        content: The prediction.
        segmentation: The segmentation that the report refers to; None if none is written.

    Raises:
        DataError: The source lacks what a report needs.
    """
    index = content.facts.frame - 1
    header = source_header(source, path, index)
    identity = identity_of(source, content, "sr", refers_to=uid_of(segmentation))
    frame = referenced_frame(source, index)
    evidence = [header] if segmentation is None else [header, segmentation]
    with lacking_named(path):
        document = report_of(_groups(header, content, segmentation, frame), evidence, content, identity)
    finish(document, header, source, identity)
    return document


def uid_of(segmentation: Dataset | None) -> str:
    """Return the UID of the segmentation that a report refers to; empty without one."""
    return "" if segmentation is None else str(segmentation.SOPInstanceUID)


@contextmanager
def lacking_named(path: Path) -> Iterator[None]:
    """Turn what highdicom raises on a source that lacks something into an error that names the file.

    Raises:
        DataError: The source lacks what a report needs.
    """
    try:
        yield
    except LACKING as error:
        raise DataError(
            f"{path} lacks what a report needs: {lack_named(error)}. Export it from the archive.",
            code="LEX-DATA-975",
        ) from error


def report_of(
    groups: list[Group], evidence: Sequence[Dataset], content: ResultContent, identity: ObjectIdentity
) -> Comprehensive3DSR:
    """Return a report of measurement groups; `finish` completes it.

    Args:
        groups: The measurement groups.
        evidence: The headers of all objects that the groups refer to; the first one is a source image.
        content: The prediction.
        identity: What identifies the report.

    Raises:
        LACKING: A source lacks what a report needs.
    """
    report = MeasurementReport(
        observation_context=_observer(content),
        procedure_reported=IMAGING_PROCEDURE,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return Comprehensive3DSR(
        evidence=list(evidence),
        content=report[0],
        series_instance_uid=identity.series_uid,
        series_number=identity.series_number,
        sop_instance_uid=identity.instance_uid,
        instance_number=identity.instance_number,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=f"Lexiseg {_kind(content)}. {NOT_FOR_DIAGNOSIS}"[:_LONGEST_LABEL],
        manufacturer_model_name=content.algorithm.name[:_LONGEST_LABEL],
        software_versions=content.algorithm.software_version,
        content_qualification=RESEARCH,
    )


def _groups(
    header: Dataset, content: ResultContent, segmentation: Dataset | None, frame: int | None
) -> list[Group]:
    """Return all measurement groups; the words are in that of the only segment, else in that of the image."""
    found = [segment for segment in content.segments if segment.mask.any()]
    words = word_items(content)
    of_segment = len(content.segments) == 1 and len(found) == 1 and segmentation is not None
    image_group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid(
                "image", header.SOPInstanceUID, str(content.facts.frame), content.algorithm.identity
            ),
            identifier="image",
        ),
        algorithm_id=algorithm_items(content),
        finding_category=ABNORMAL_STRUCTURE,
        measurements=_counts(content),
        source_images=[SourceImageForMeasurementGroup(**source_reference(header, frame))],
    )
    image_group[0].ContentSequence.extend(summary_items(content) + ([] if of_segment else words))
    groups: list[Group] = [image_group]
    for segment in found:
        if segmentation is not None:
            group = _segment_group(header, content, segment, segmentation, frame)
            group[0].ContentSequence.extend(words if of_segment else [])
            groups.append(group)
        groups += outline_groups(header, content, segment, frame)
    return groups


def segment_type(segment: SegmentContent) -> CodedConcept:
    """Return the kind of finding that a segment is."""
    return concept(segment.code) if segment.code is not None else ABNORMAL_STRUCTURE


def _segment_group(
    header: Dataset, content: ResultContent, segment: SegmentContent, segmentation: Dataset, frame: int | None
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the group that refers to a segment, with its area."""
    reference = ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=segment.number,
        source_images=[SourceImageForSegmentation(**source_reference(header, frame))],
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(header, content, segment),
        referenced_segment=reference,
        algorithm_id=algorithm_items(content),
        finding_category=ABNORMAL_STRUCTURE,
        finding_type=segment_type(segment),
        measurements=[_area(segment, segment.area_px)],
    )


def outline_groups(
    header: Dataset, content: ResultContent, segment: SegmentContent, frame: int | None
) -> list[PlanarROIMeasurementsAndQualitativeEvaluations]:
    """Return one group (TID 1410) per region of a segment in one image, with its outline and its area.

    Args:
        header: The header of the image.
        content: The prediction.
        segment: The segment.
        frame: Number of the frame of the image; None for a file of one frame.
    """
    found, _ = outlines(segment.mask)
    return [
        PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking(header, content, segment),
            referenced_region=ImageRegion(
                graphic_type=GraphicTypeValues.POLYLINE,
                graphic_data=outline.points.astype(np.float32),
                source_image=SourceImageForRegion(**source_reference(header, frame)),
            ),
            algorithm_id=algorithm_items(content),
            finding_category=ABNORMAL_STRUCTURE,
            finding_type=segment_type(segment),
            measurements=[_area(segment, outline.area_px)],
        )
        for outline in found
    ]


def _counts(content: ResultContent) -> list[Measurement]:
    regions = sum(outlines(segment.mask)[1] for segment in content.segments)
    return [Measurement(name=NUMBER_OF_LESIONS, value=regions, unit=RATIO)]


def _area(segment: SegmentContent, pixels: int) -> Measurement:
    """Return an area: in mm2 where the size of a pixel in the body is known, else in pixels."""
    if segment.area_mm2 is None:
        return Measurement(name=AREA, value=pixels, unit=PIXELS)
    square = segment.area_mm2 * pixels / max(1, segment.area_px)
    return Measurement(name=AREA, value=round(square, 2), unit=SQUARE_MILLIMETRES)


class SourceReference(TypedDict):
    """A source image as highdicom takes it."""

    referenced_sop_class_uid: str
    referenced_sop_instance_uid: str
    referenced_frame_numbers: list[int] | None


def source_reference(header: Dataset, frame: int | None) -> SourceReference:
    """Return the reference to a source image, or to one of its frames."""
    return {
        "referenced_sop_class_uid": header.SOPClassUID,
        "referenced_sop_instance_uid": header.SOPInstanceUID,
        "referenced_frame_numbers": None if frame is None else [frame],
    }


def tracking(header: Dataset, content: ResultContent, segment: SegmentContent) -> TrackingIdentifier:
    """Return what ties all groups of a segment together."""
    return TrackingIdentifier(
        uid=tracking_uid(header, content, segment.number),
        identifier=tracking_name(segment.number, segment.name),
    )


def algorithm_items(content: ResultContent) -> AlgorithmIdentification:
    """Return what identifies the algorithm in a measurement group."""
    return AlgorithmIdentification(
        name=content.algorithm.name,
        version=content.algorithm.version,
        parameters=[f"{key}={value}" for key, value in content.algorithm.parameters],
    )


def _kind(content: ResultContent) -> str:
    return "report" if content.correction is None else "corrected report"


def _observer(content: ResultContent) -> ObservationContext:
    attributes = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", content.algorithm.identity),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=content.algorithm.name,
        serial_number=content.algorithm.software_version,
    )
    device = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=attributes)
    if content.correction is None or not content.correction.who:
        return ObservationContext(observer_device_context=device)
    who = content.correction.who
    person = ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(
            # A name of one part ends with a caret.
            name=f"{who}^",
            login_name=who,
        ),
    )
    return ObservationContext(observer_person_context=person, observer_device_context=device)
