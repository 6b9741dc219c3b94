"""Probability maps: one TIFF per image, a page of 32-bit floats per foreground class."""

from __future__ import annotations

from pathlib import Path

import tifffile

from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage

_KIND = "Lexiseg probability map"


class ProbabilityWriter(ImageWriter):
    """Writes `probabilities/NAME.tif`, on the grid of the image.

    Each page is one foreground class, in the order of the labels; its description (TIFF tag 270) ends with
    the name of the class. A pixel holds the probability itself, 0 to 1, as a 32-bit float: there is no
    scale to apply. The probabilities are calibrated if the run is. ImageJ, 3D Slicer, QuPath, MATLAB and the
    usual Python packages open such files.
    """

    name, folder, suffix = file_place("probability")
    is_thread_safe = True

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the probability maps of one image."""
        classes = batch.predictor.run.class_names[1:]
        with tifffile.TiffWriter(path) as tiff:
            for number, (name, page) in enumerate(zip(classes, image.prediction.probability, strict=True), 1):
                tiff.write(
                    page,
                    photometric="minisblack",
                    compression="zlib",
                    # The first bytes of the file, by which it is known again. TIFF texts are ASCII.
                    description=f"{_KIND}: {number} {name}".encode("ascii", "replace").decode("ascii"),
                    metadata=None,
                )
