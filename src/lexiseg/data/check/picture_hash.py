"""Small summaries of a picture by which nearly identical pictures are found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

#: Side of the grey thumbnail that confirms or refutes a suspected duplicate.
THUMBNAIL = 32


def difference_hash(grey: Image.Image) -> int:
    """Return the 64 bit difference hash: whether each of 8 x 8 places is brighter than its right neighbour.

    It hardly changes with size, compression, brightness and contrast.
    """
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(small[:, :-1] > small[:, 1:]).tobytes(), "big")


def thumbnail(grey: Image.Image) -> npt.NDArray[np.uint8]:
    """Return a grey picture as (`THUMBNAIL`, `THUMBNAIL`) uint8."""
    return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
