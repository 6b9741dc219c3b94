"""Masks: one grey PNG per image, on the grid of the image."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.readers import mask_content
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage


class MaskWriter(ImageWriter):
    """Writes `masks/NAME.png`: 0 and 255 for one class, else the label of each pixel."""

    name, folder, suffix = file_place("mask")
    is_thread_safe = True

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Remove an earlier mask where this batch writes none; otherwise the new one replaces it as a whole.

        Raises:
            DiskError: There is no permission.
        """
        if self.name not in batch.formats:
            super().remove_stale(target, batch)

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the mask of one image, whole or not at all; see `ImageWriter.write`."""
        batch.folder.write_bytes(self.file(image.target, batch.out), _content(image, batch))

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the mask of one image to a path."""
        path.write_bytes(_content(image, batch))


def _content(image: PredictedImage, batch: Batch) -> bytes:
    """Return the file of one mask."""
    return mask_content(image.prediction.mask, num_classes=len(batch.predictor.run.class_names))
