"""An image of a batch: its file or where it comes from, and the name of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.files import TEMPORARY_PREFIX
from lexiseg.inference.inputs.image_sources import ImageSource


@dataclass(frozen=True, kw_only=True)
class Target:
    """One image to predict and where its outputs go.

    Attributes:
        image: The image file. For an image that is no file of this computer, a batch reads it into a
            temporary file.
        name: Path of each output below the folder of its format, without suffix.
        source: What results and messages call the image where its file is a private copy: its archive or
            address, and its path there; None for other images.
        origin: Where it comes from if it is no file of this computer; else None.
    """

    image: Path
    name: Path
    source: str | None = None
    origin: ImageSource | None = None

    @property
    def label(self) -> str:
        """What the image is called in results and messages."""
        if self.origin is not None:
            return self.origin.label
        return self.source or str(self.image)

    def named(self, message: str) -> str:
        """Return a message in which the image has its label."""
        if self.origin is not None and not self.image.name.startswith(TEMPORARY_PREFIX):
            return message  # it has no file yet
        return message.replace(str(self.image), self.label)
