"""Regions of interest: the image where the mask is set, zero elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.resize import resize_image
from lexiseg.files import write_bytes

Pixels = npt.NDArray[np.uint8]


def roi_image(image: Pixels, lesion: npt.NDArray[np.bool_]) -> Pixels:
    """Return the image where the lesion is, zero elsewhere, on the same grid.

    Args:
        image: (H, W, 3) uint8.
        lesion: (H, W) bool.

    Returns:
        (H, W, 3) uint8.
    """
    return image * lesion[..., None]


def shrunk(roi: Pixels, longest: int) -> Pixels:
    """Return the region with its longest side at most `longest` pixels, with the same proportions."""
    height, width = roi.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return roi
    return resize_image(roi, (max(1, round(height * scale)), max(1, round(width * scale))))


def png(roi: Pixels) -> bytes:
    """Return the region as a PNG file without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(roi).save(buffer, format="PNG")
    return buffer.getvalue()


def write_roi(folder: Path, name: str, roi: Pixels) -> None:
    """Write a region as a PNG file; slashes in its name become `__`."""
    write_bytes(folder / f"{name.replace('/', '__')}.png", png(roi))
