"""The picture of a case on a page: its image in the usual display, with the outlines of its masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.data.decoded_image import DecodedImage
from lexiseg.html_template import jpeg_uri
from lexiseg.inference.explanation.overlay import draw_overlay


def case_picture(
    image: DecodedImage,
    predicted: npt.NDArray[np.uint8],
    truth: npt.NDArray[np.uint8] | None = None,
    *,
    longest_side: int,
) -> str:
    """Return an image with the outlines of its masks as a data URI, in its usual display.

    The words beside it name sides of this display. A DICOM file can be stored mirrored or rotated.

    Args:
        image: The image.
        predicted: `(H, W)` predicted labels, on the stored grid.
        truth: `(H, W)` labels of the mask of the data set, on the stored grid; None for none.
        longest_side: Size of the picture in pixels.
    """
    turn = image.turn
    shown = None if truth is None else turn.apply(truth)
    return jpeg_uri(draw_overlay(image.displayed, turn.apply(predicted), shown, longest_side=longest_side))
