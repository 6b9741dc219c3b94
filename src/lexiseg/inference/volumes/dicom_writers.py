"""The DICOM objects of a predicted series; pydicom and highdicom are loaded where one is written."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter


class SegmentationVolumeWriter(VolumeWriter):
    """Writes `seg/NAME.dcm`: a BINARY segmentation over a DICOM series."""

    name, folder, suffix = file_place("seg")
    as_labels: ClassVar[bool] = False

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the segmentation, and compare every voxel at the position that its frame states.

        Raises:
            DataError: The volume is no DICOM series, lacks what is needed, or a check fails.
        """
        result = predicted.series
        from lexiseg.clinic.series_segmentation import build_series_segmentation, verify_series_segmentation

        written = build_series_segmentation(
            result.slices,
            result.sources,
            result.path,
            result.content.result,
            result.labels,
            as_labels=self.as_labels,
        )
        written.save_as(path, enforce_file_format=True)
        verify_series_segmentation(path, result.slices, result.first, result.labels)


class LabelmapVolumeWriter(SegmentationVolumeWriter):
    """Writes `labelmap/NAME.dcm`: a LABELMAP segmentation over a DICOM series."""

    name, folder, suffix = file_place("labelmap")
    as_labels = True


class ReportVolumeWriter(VolumeWriter):
    """Writes `sr/NAME.dcm`: a Comprehensive 3D SR, TID 1500, of a DICOM series.

    It refers to the segmentation of the series where the batch writes one.
    """

    name, folder, suffix = file_place("sr")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the report, and compare its volumes, its outlines and what it refers to.

        Raises:
            DataError: The volume is no DICOM series, lacks what is needed, or a check fails.
        """
        result = predicted.series
        from lexiseg.clinic.series_report import (
            build_series_report,
            segmentation_reference,
            verify_series_report,
        )

        kinds = [
            kind
            for kind in (SegmentationVolumeWriter, LabelmapVolumeWriter)
            if kind.name in predicted.formats and kind.name not in predicted.refused
        ]
        segmentation = None
        if kinds:
            segmentation = segmentation_reference(
                result.sources[0], result.content, as_labels=kinds[0].as_labels
            )
        written = build_series_report(
            result.slices, result.sources, result.path, result.content, segmentation
        )
        written.save_as(path, enforce_file_format=True)
        verify_series_report(path, result.slices, result.content, segmentation)


class CaptureVolumeWriter(VolumeWriter):
    """Writes `sc/NAME.dcm`: a picture of the slice with the largest area and of other slices.

    It is for viewers that show nothing else.
    """

    name, folder, suffix = file_place("sc")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the picture and compare it.

        Raises:
            DataError: The volume is no DICOM series, lacks what is needed, or a check fails.
        """
        from lexiseg.inference.volumes.series_slice_objects import save_capture

        save_capture(predicted.series, predicted.dicom, predicted.prediction, path)


class PresentationStateVolumeWriter(VolumeWriter):
    """Writes `gsps/NAME.dcm`: the outline of the labels over the slice with the largest area."""

    name, folder, suffix = file_place("gsps")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the presentation state and compare its outlines with the labels.

        Raises:
            DataError: The volume is no DICOM series, lacks what is needed, or a check fails.
        """
        from lexiseg.inference.volumes.series_slice_objects import save_presentation_state

        save_presentation_state(predicted.series, predicted.dicom, path)
