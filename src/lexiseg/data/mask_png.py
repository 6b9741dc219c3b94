"""PNG files of masks.

A mask is made of runs of equal pixels. Run-length coding (Z_RLE of zlib) finds them; a search for repeated
texts takes twice the time and does not make the file smaller.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image


def mask_png(values: npt.NDArray[np.uint8]) -> bytes:
    """Return a grey PNG file of 8 bits per pixel.

    Args:
        values: (H, W) uint8 grey values, at least one pixel.
    """
    content = io.BytesIO()
    Image.fromarray(values).save(content, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return content.getvalue()
