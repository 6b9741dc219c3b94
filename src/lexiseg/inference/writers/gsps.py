"""DICOM presentation states: one file per image with the outline of its mask."""

from __future__ import annotations

from pathlib import Path

from lexiseg.clinic.presentation_state import build_presentation_state
from lexiseg.clinic.rendering import recipe
from lexiseg.clinic.verification import verify_presentation_state
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.dicom_objects import DicomObjectWriter, DicomResult


class PresentationStateWriter(DicomObjectWriter):
    """Writes `gsps/NAME.dcm`: the outline of the mask over the source image, and how the image was shown."""

    name, folder, suffix = file_place("gsps")

    def save_object(self, result: DicomResult, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the presentation state and compare its outlines with the mask.

        Raises:
            DataError: The source lacks what it needs, or a check fails.
        """
        shown = recipe(result.source, result.content.facts.frame - 1, image.view)
        written = build_presentation_state(result.source, result.path, result.content, shown)
        written.save_as(path, enforce_file_format=True)
        verify_presentation_state(path, result.source, result.content)
