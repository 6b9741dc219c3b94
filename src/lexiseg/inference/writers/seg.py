"""DICOM segmentations: one file per image, a segment per foreground class."""

from __future__ import annotations

from pathlib import Path

from lexiseg.clinic.segmentation_object import build_segmentation
from lexiseg.clinic.verification import verify_segmentation
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.dicom_objects import DicomObjectWriter, DicomResult


class SegmentationWriter(DicomObjectWriter):
    """Writes `seg/NAME.dcm`: a BINARY segmentation on the grid of the source image."""

    name, folder, suffix = file_place("seg")
    as_labels = False

    def save_object(self, result: DicomResult, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the segmentation and compare it with the mask, pixel by pixel.

        Raises:
            DataError: The source lacks what it needs, or a check fails.
        """
        written = build_segmentation(result.source, result.path, result.content, as_labels=self.as_labels)
        written.save_as(path, enforce_file_format=True)
        verify_segmentation(path, result.source, result.content)


class LabelmapWriter(SegmentationWriter):
    """Writes `labelmap/NAME.dcm`: a LABELMAP segmentation, which newer archives and viewers take."""

    name, folder, suffix = file_place("labelmap")
    as_labels = True
