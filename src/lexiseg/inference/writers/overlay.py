"""Overlays: one PNG per image, the image with the outline of its mask."""

from __future__ import annotations

from PIL import PngImagePlugin

from lexiseg.files import atomic_path
from lexiseg.inference.overlay import draw_overlay
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage

_KIND = "Lexiseg overlay"


class OverlayWriter(ImageWriter):
    """Writes `overlays/NAME.png`, see `lexiseg.inference.overlay.draw_overlay`."""

    name, folder, suffix = "overlay", "overlays", ".png"
    mark = f"Software\0{_KIND}".encode("ascii")

    def write(self, image: PredictedImage, batch: Batch) -> None:
        """Write the overlay of one image.

        Raises:
            DataError: The image cannot be read any more.
            DiskError: There is no space or no permission.
        """
        picture = draw_overlay(image.pixels, image.prediction.mask)
        about = PngImagePlugin.PngInfo()
        about.add_text("Software", _KIND)
        with atomic_path(self.file(image.target, batch)) as beside:
            picture.save(beside, pnginfo=about)
