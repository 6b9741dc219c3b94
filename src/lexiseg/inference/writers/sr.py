"""DICOM structured reports: one file per image, with words, areas, outlines and the flag."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from lexiseg.clinic.segmentation_object import build_segmentation
from lexiseg.clinic.structured_report import build_report
from lexiseg.clinic.verification import verify_report
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.dicom_objects import DicomObjectWriter, DicomResult
from lexiseg.inference.writers.seg import LabelmapWriter, SegmentationWriter


class ReportWriter(DicomObjectWriter):
    """Writes `sr/NAME.dcm`: a Comprehensive 3D SR, TID 1500.

    It refers to the segmentation of the image where the batch writes one.
    """

    name, folder, suffix = file_place("sr")

    def save_object(self, result: DicomResult, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the report and compare its outlines with the mask.

        Raises:
            DataError: The source lacks what it needs, or a check fails.
        """
        segmentation = _segmentation(result, image, batch)
        written = build_report(result.source, result.path, result.content, segmentation)
        written.save_as(path, enforce_file_format=True)
        verify_report(path, result.source, result.content, segmentation)


def _segmentation(result: DicomResult, image: PredictedImage, batch: Batch) -> Dataset | None:
    """Return the segmentation that the batch writes of the image; None where there is none."""
    for writer in (SegmentationWriter, LabelmapWriter):
        if writer.name in batch.formats and writer.name not in image.refused:
            return build_segmentation(result.source, result.path, result.content, as_labels=writer.as_labels)
    return None
