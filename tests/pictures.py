"""Small pictures for tests that send images."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

Pixels = npt.NDArray[np.uint8]


def soft_picture(seed: int, height: int = 64, width: int = 80) -> Pixels:
    """Return grey values that change slowly, `(H, W)`."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 8)
    return np.asarray(np.clip(128 + 900 * noise, 0, 255), dtype=np.uint8)


def png_file(pixels: Pixels) -> bytes:
    """Return pixels as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
