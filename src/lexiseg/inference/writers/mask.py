"""Masks: one grey PNG per image, on the grid of the image."""

from __future__ import annotations

from lexiseg.data.readers import write_mask
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage, Target


class MaskWriter(ImageWriter):
    """Writes `masks/NAME.png`: 0 and 255 for one class, else the label of each pixel."""

    name, folder, suffix = "mask", "masks", ".png"
    # Masks carry no mark: `predict_to_files` refuses a folder of masks that no batch wrote.
    mark = b""

    def remove_stale(self, target: Target, batch: Batch) -> None:
        """Remove an earlier mask where this batch writes none; otherwise the new one replaces it as a whole.

        Raises:
            DiskError: There is no permission.
        """
        if self.name not in batch.formats:
            super().remove_stale(target, batch)

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the mask of one image.

        Raises:
            DiskError: There is no space or no permission.
        """
        classes = len(batch.predictor.run.class_names)
        write_mask(self.file(image.target, batch), image.prediction.mask, num_classes=classes)
