"""The writers of a format that is not in the registry; `test_new_format.py` holds its entry."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage


class ToyWriter(ImageWriter):
    """Writes the number of pixels of the mask."""

    name, folder, suffix = file_place("toy")

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write it."""
        path.write_text(f"{image.prediction.mask.size} pixels", encoding="ascii")


class ToyVolumeWriter(VolumeWriter):
    """Writes the number of voxels of the labels."""

    name, folder, suffix = file_place("toy")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write it."""
        path.write_text(f"{predicted.prediction.labels.size} voxels", encoding="ascii")
