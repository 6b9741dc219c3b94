"""An image of a batch: its file or where it comes from, and the name of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.files import TEMPORARY_PREFIX
from lexiseg.inference.inputs.image_sources import ImageSource, files_that_tell


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
        copied_from: The archive or the address of which the file is a private copy; None for other images.
    """

    image: Path
    name: Path
    source: str | None = None
    origin: ImageSource | None = None
    copied_from: str | None = None

    @property
    def label(self) -> str:
        """What the image is called in results and messages."""
        if self.origin is not None:
            return self.origin.label
        return self.source or str(self.image)

    @property
    def files_that_tell(self) -> tuple[Path, ...]:
        """The files of this computer whose times tell whether the image was changed; none where none does."""
        if self.origin is not None:
            file = self.origin.local_file
            return () if file is None else (file,)
        return files_that_tell((self.image,), self.copied_from)

    def named(self, message: str) -> str:
        """Return a message in which the image has its label."""
        if self.origin is not None and not self.image.name.startswith(TEMPORARY_PREFIX):
            return message  # it has no file yet
        return message.replace(str(self.image), self.label)
