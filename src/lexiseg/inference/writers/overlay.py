"""Overlays: one PNG per image, the image with the outline of its mask."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from lexiseg.inference.explanation.overlay import draw_overlay
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage

_KIND = "Lexiseg overlay"


class OverlayWriter(ImageWriter):
    """Writes `overlays/NAME.png`, see `lexiseg.inference.explanation.overlay.draw_overlay`."""

    name, folder, suffix = file_place("overlay")
    is_thread_safe = True

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the overlay of one image.

        Raises:
            DataError: The image cannot be read any more.
        """
        save_overlay(draw_overlay(image.pixels, image.prediction.mask), path)


def save_overlay(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, marked as an overlay of Lexiseg, so that it is not taken for an input."""
    about = PngImagePlugin.PngInfo()
    about.add_text("Software", _KIND)
    picture.save(path, format="PNG", pnginfo=about)
