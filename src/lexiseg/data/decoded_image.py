"""The pixels of an image file together with what a DICOM file says about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.detection import is_dicom
from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.orientation import NO_TURN, Turn
from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decode import decode_picture
from lexiseg.data.decoding.dicom import dicom_pixels, open_dicom_image


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """The pixels of an image file, and what a DICOM file says about them.

    Attributes:
        pixels: (H, W, 3) uint8 on the stored grid. Those of a grey file may be a view that cannot be written
            to (`lexiseg.data.grey.three_channels`).
        facts: What a DICOM file says about its image; None for other files.
        orientation: EXIF orientation of the file, 1 (as stored) to 8; it is not applied.
    """

    pixels: npt.NDArray[np.uint8]
    facts: ImageFacts | None
    orientation: int = 1

    @property
    def turn(self) -> Turn:
        """What turns the image to its usual display."""
        return NO_TURN if self.facts is None else self.facts.turn

    @property
    def displayed(self) -> npt.NDArray[np.uint8]:
        """The pixels as networks get them, (H, W, 3) uint8: in their usual display."""
        return self.pixels if self.turn.is_none else self.turn.apply(self.pixels)


def decode_with_facts(content: bytes, path: Path, view: View = AS_STORED) -> DecodedImage:
    """Return an image with what a DICOM file says about it; see `decode_image`.

    Args:
        content: The file's bytes.
        path: Its name, for messages.
        view: The window and frame of a DICOM file.
    """
    if is_dicom(content):
        opened = open_dicom_image(content, path, view)
        return DecodedImage(pixels=dicom_pixels(opened), facts=opened.facts)
    pixels, orientation = decode_picture(content, path)
    return DecodedImage(pixels=pixels, facts=None, orientation=orientation)
