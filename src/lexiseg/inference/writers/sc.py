"""DICOM secondary captures: one picture per image with the outline of its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS
from lexiseg.clinic.secondary_capture import build_capture
from lexiseg.clinic.verification import verify_capture
from lexiseg.inference.explanation.overlay import draw_overlay
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, PredictedImage
from lexiseg.inference.writers.dicom_objects import DicomObjectWriter, DicomResult

_TEXT_SHARE = 1 / 40
_LETTER_WIDTH = 0.55


class CaptureWriter(DicomObjectWriter):
    """Writes `sc/NAME.dcm`: the image with the outline of the mask, for viewers that show no segmentation."""

    name, folder, suffix = file_place("sc")

    def save_object(self, result: DicomResult, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the picture and compare it.

        Raises:
            DataError: The source lacks what it needs, or a check fails.
        """
        picture = _labelled(draw_overlay(image.pixels, image.prediction.mask))
        written = build_capture(result.source, result.path, result.content, picture)
        written.save_as(path, enforce_file_format=True)
        verify_capture(path, result.source, result.content, picture)


def _labelled(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return a picture with a line of text that says what it is not for, `(H, W, 3)` uint8."""
    # The whole line fits into a small picture too: a letter is about half as wide as it is high.
    widest = picture.width / (_LETTER_WIDTH * len(NOT_FOR_DIAGNOSIS))
    size = max(5, round(min(picture.height * _TEXT_SHARE, widest)))
    place = (size // 2, picture.height - 2 * size)
    ImageDraw.Draw(picture).text(
        place,
        NOT_FOR_DIAGNOSIS,
        fill="white",
        font_size=size,
        stroke_width=max(1, size // 8),
        stroke_fill="black",
    )
    return np.asarray(picture)
