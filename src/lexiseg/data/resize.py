"""Resizing images and labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.grey import grey_of, three_channels

Pixels = npt.NDArray[np.uint8]


def resize_image(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image, bilinear when enlarging and area-weighted (antialiased) when shrinking.

    Args:
        image: (H, W, C) uint8, C = 1 or 3.
        size: (rows, columns) wanted.

    Returns:
        (rows, columns, C) uint8; the same array if it has that size already.
    """
    if image.shape[:2] == size:
        return image
    grey = grey_of(image)
    if grey is not None:
        return three_channels(resize_image(grey[..., None], size)[..., 0])
    resized = to_pil(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return from_pil(resized, image.shape[2])


def resize_labels(labels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize labels to the nearest pixel, so that no new value appears.

    Args:
        labels: (H, W) uint8.
        size: (rows, columns) wanted.

    Returns:
        (rows, columns) uint8; the same array if it has that size already.
    """
    if labels.shape == size:
        return labels
    return np.array(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def to_pil(image: Pixels) -> Image.Image:
    """Return (H, W, 1) or (H, W, 3) uint8 as a Pillow image, which is resized faster than by scipy."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def from_pil(image: Image.Image, channels: int) -> Pixels:
    """Return a Pillow image as (H, W, channels) uint8; `channels` is 1 or 3."""
    pixels = np.array(image)
    return pixels[..., None] if channels == 1 else pixels
