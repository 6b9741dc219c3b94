"""Structured reports of a whole series: words, volumes, the flag, and outlines in one slice.

One measurement group (TID 1501) holds what is said of the volume as a whole. One group per segment refers to
the segmentation (TID 1411), or without one to the slices (TID 1501), and holds its volume. One group per
region (TID 1410) holds its outline in the slice with the largest area, for viewers that draw no group of a
segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr.value_types import ContentItem
from pydicom.dataset import Dataset

from lexiseg.clinic.coded_concepts import (
    ABNORMAL_STRUCTURE,
    CUBIC_MILLIMETRES,
    NO_EXPECTED_DICE,
    NO_VOLUME,
    SHOWN_SLICE,
    VOLUME,
    VOXELS,
)
from lexiseg.clinic.dataset import all_items
from lexiseg.clinic.object_identity import derived_uid, identity_of
from lexiseg.clinic.report_items import summary_items, word_items
from lexiseg.clinic.result_content import SegmentContent, VolumeContent
from lexiseg.clinic.segmentation_object import SEGMENTATION_CLASSES, finish, segmentation_kind
from lexiseg.clinic.series import SliceHeader, has_frames
from lexiseg.clinic.structured_report import (
    Group,
    algorithm_items,
    lacking_named,
    outline_groups,
    report_of,
    segment_type,
    source_reference,
    tracking,
    uid_of,
)
from lexiseg.clinic.verification import check_report_outlines, named_instances, read_back
from lexiseg.errors import DataError

_CONTAINS = RelationshipTypeValues.CONTAINS


def segmentation_reference(first: Dataset, content: VolumeContent, *, as_labels: bool) -> Dataset:
    """Return what a report needs to know of the segmentation of the same prediction: its UIDs.

    Args:
        first: The header of the first slice.
        content: The prediction.
        as_labels: Whether the segmentation is a LABELMAP.
    """
    identity = identity_of(first, content.result, segmentation_kind(as_labels=as_labels))
    found = Dataset()
    found.SOPClassUID = SEGMENTATION_CLASSES[as_labels]
    found.SOPInstanceUID, found.SeriesInstanceUID = identity.instance_uid, identity.series_uid
    found.StudyInstanceUID = first.StudyInstanceUID
    return found


def build_series_report(
    slices: Sequence[SliceHeader],
    sources: Sequence[Dataset],
    name: Path,
    content: VolumeContent,
    segmentation: Dataset | None,
) -> Comprehensive3DSR:
    """Return the structured report of a predicted series.

    Args:
        slices: The slices in order.
        sources: Their headers, from `series_sources`.
        name: The folder of the series, for messages.
        content: The prediction.
        segmentation: The segmentation that the report refers to (`segmentation_reference`); None if none is
            written.

    Raises:
        DataError: The series lacks what a report needs.
    """
    first = sources[0]
    identity = identity_of(first, content.result, "sr", refers_to=uid_of(segmentation))
    with lacking_named(name):
        groups = _groups(slices, sources, content, segmentation)
        evidence = [*sources, *([] if segmentation is None else [segmentation])]
        document = report_of(groups, evidence, content.result, identity)
    finish(document, first, first, identity)
    return document


def verify_series_report(
    written: Path, slices: Sequence[SliceHeader], content: VolumeContent, segmentation: Dataset | None
) -> None:
    """Compare a written report with the prediction: its volumes, its outlines, and what it refers to.

    Args:
        written: The file.
        slices: The slices of the series in order.
        content: The prediction.
        segmentation: The segmentation that it refers to; None without one.

    Raises:
        DataError: They differ, or the file breaks the standard; it must not be kept.
    """
    with read_back(written) as found:
        check_report_outlines(found, content.result)
        _check_volumes(found, content)
        _check_outlined_slice(found, slices, content)
        wanted = {header.instance for header in slices}
        if segmentation is not None and _found(content):
            wanted.add(str(segmentation.SOPInstanceUID))
        if not wanted <= named_instances(found):
            raise _differs("it does not refer to all slices and to the segmentation")


def _check_volumes(found: Dataset, content: VolumeContent) -> None:
    """Refuse a report whose volumes are not those of the prediction."""
    volumes = []
    for item in all_items(found):
        if _is_named(item, VOLUME.value):
            (measured,) = item.MeasuredValueSequence
            volumes.append((float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue))
    expected = [_volume(content, segment) for segment in _found(content)]
    if volumes != [(value, unit.value) for value, unit in expected]:
        raise _differs(f"its volumes are {volumes}")


def _check_outlined_slice(found: Dataset, slices: Sequence[SliceHeader], content: VolumeContent) -> None:
    """Refuse a report with an outline in another slice than the shown one."""
    shown = slices[content.shown]
    wanted = (shown.instance, shown.frame + 1 if has_frames(slices) else None)
    for item in all_items(found):
        if item.get("GraphicType") == "POLYLINE":
            (image,) = item.ContentSequence[0].ReferencedSOPSequence
            if (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")) != wanted:
                raise _differs("an outline refers to another slice")


def _groups(
    slices: Sequence[SliceHeader],
    sources: Sequence[Dataset],
    content: VolumeContent,
    segmentation: Dataset | None,
) -> list[Group]:
    """Return all measurement groups.

    The words are in the group of the only segment, else in that of the volume.
    """
    result, found = content.result, _found(content)
    of_segment = len(result.segments) == 1 and len(found) == 1
    words = word_items(result)
    images = [SourceImageForMeasurementGroup(**source_reference(source, None)) for source in sources]
    volume_group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("volume", slices[0].series, slices[0].instance, result.algorithm.identity),
            identifier="volume",
        ),
        algorithm_id=algorithm_items(result),
        finding_category=ABNORMAL_STRUCTURE,
        source_images=images,
    )
    volume_group[0].ContentSequence.extend(_summary(content, len(slices)) + ([] if of_segment else words))
    groups: list[Group] = [volume_group]
    shown = sources[0] if has_frames(slices) else sources[content.shown]
    frame = slices[content.shown].frame + 1 if has_frames(slices) else None
    for segment in found:
        group = _segment_group(sources[0], content, segment, segmentation, images)
        group[0].ContentSequence.extend(words if of_segment else [])
        groups.append(group)
        groups += outline_groups(shown, result, segment, frame)
    return groups


def _segment_group(
    first: Dataset,
    content: VolumeContent,
    segment: SegmentContent,
    segmentation: Dataset | None,
    images: list[SourceImageForMeasurementGroup],
) -> Group:
    """Return the group of a segment, with its volume."""
    result = content.result
    value, unit = _volume(content, segment)
    measurements = [Measurement(name=VOLUME, value=value, unit=unit)]
    if segmentation is None:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking(first, result, segment),
            algorithm_id=algorithm_items(result),
            finding_category=ABNORMAL_STRUCTURE,
            finding_type=segment_type(segment),
            measurements=measurements,
            source_images=images,
        )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(first, result, segment),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(first.SeriesInstanceUID),
        ),
        algorithm_id=algorithm_items(result),
        finding_category=ABNORMAL_STRUCTURE,
        finding_type=segment_type(segment),
        measurements=measurements,
    )


def _summary(content: VolumeContent, slices: int) -> list[ContentItem]:
    """Return what is said of the volume as a whole."""
    items = summary_items(content.result)
    said = f"Slice {content.shown + 1} of {slices}, with the largest area of lesions."
    for name, text in (
        (NO_EXPECTED_DICE, content.no_expected_dice),
        (NO_VOLUME, content.no_volume),
        (SHOWN_SLICE, said if _found(content) else ""),
    ):
        if text:
            items.append(TextContentItem(name, text, relationship_type=_CONTAINS))
    return items


def _volume(content: VolumeContent, segment: SegmentContent) -> tuple[float, CodedConcept]:
    """Return a volume with its unit: in mm3 where the size of a voxel is known, else in voxels."""
    if content.volume_mm3 is None:
        return content.voxels[segment.number], VOXELS
    return round(content.volume_mm3[segment.number], 2), CUBIC_MILLIMETRES


def _found(content: VolumeContent) -> list[SegmentContent]:
    return [segment for segment in content.result.segments if content.voxels[segment.number]]


def _is_named(item: Dataset, code: str) -> bool:
    names = item.get("ConceptNameCodeSequence") or []
    return item.get("ValueType") == "NUM" and bool(names) and names[0].get("CodeValue") == code


def _differs(what: str) -> DataError:
    return DataError(
        f"The written report differs from the prediction: {what}. It is not kept.", code="LEX-DATA-1429"
    )
