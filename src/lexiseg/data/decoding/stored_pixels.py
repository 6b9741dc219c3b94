"""Pixels of more than 8 bits as a file stores them, and their way to 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.data.grey import three_channels
from lexiseg.errors import DataError

#: Percentage of pixels clipped at either end when an image of more than 8 bits is scaled to 8 bits.
CLIP_PERCENT = 0.5

#: Largest whole number up to which a 32-bit float is exact.
_EXACT_IN_FLOAT32 = 2**24


@dataclass(frozen=True, kw_only=True)
class StoredPixels:
    """Pixels in the data type of the file.

    Attributes:
        values: (H, W) grey values or (H, W, 3) colours, of any real number type.
        alpha: (H, W) opacity in the same type; None for an opaque picture.
        premultiplied: Whether `values` are already multiplied by the opacity.
        inverted: Whether viewers show the lowest value as white (a TIFF of the kind WhiteIsZero).
    """

    values: npt.NDArray[Any]
    alpha: npt.NDArray[Any] | None = None
    premultiplied: bool = False
    inverted: bool = False

    def over_black(self) -> npt.NDArray[np.generic]:
        """Return the values with transparent pixels drawn on black."""
        if self.alpha is None or self.premultiplied:
            return self.values
        full = np.iinfo(self.alpha.dtype).max if self.alpha.dtype.kind in "iu" else 1.0
        opacity = self.alpha / full
        drawn = self.values * (opacity if self.values.ndim == 2 else opacity[..., None])
        return np.asarray(drawn, dtype=np.float64 if self.values.dtype.itemsize > 2 else np.float32)


def to_8bit(stored: StoredPixels, path: Path) -> npt.NDArray[np.uint8]:
    """Return stored pixels as viewers show them, (H, W, 3) uint8, scaled by `scale_to_8bit`.

    Those of a grey image are a view that cannot be written to (`lexiseg.data.grey.three_channels`).

    Raises:
        DataError: No pixel is a finite number, or every pixel is transparent.
    """
    if stored.alpha is not None and not stored.alpha.any() and stored.values.any():
        raise fully_transparent(path)
    values = stored.over_black()
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        raise DataError(
            f"{path} holds no finite number (only NaN or infinite values). Export the image again.",
            code="LEX-DATA-650",
        )
    if stored.values.dtype == np.uint8:
        scaled = np.asarray(np.rint(values), dtype=np.uint8)
    elif values.dtype == np.bool_:
        scaled = values.astype(np.uint8) * np.uint8(255)
    else:
        scaled = scale_to_8bit(values)
    if stored.inverted:
        scaled = np.bitwise_not(scaled)
    return three_channels(scaled) if scaled.ndim == 2 else np.ascontiguousarray(scaled)


def scale_to_8bit(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Scale pixels of more than 8 bits to 0..255, linearly between their own 0.5th and 99.5th percentile.

    Devices use different ranges (10, 12, 14 or 16 bits) and files do not state them reliably, so a fixed
    divisor would make many images almost black. Percentiles make the range independent of burnt-in markers.
    Pixels outside are clipped; an image of a single value becomes black. The percentiles are those of the
    finite values; NaN becomes black, infinite values become black or white.

    Args:
        pixels: (H, W) or (H, W, C), any integer or floating type; one range for all channels.

    Returns:
        The same shape, uint8.
    """
    finite = pixels if pixels.dtype.kind != "f" else pixels[np.isfinite(pixels)]
    if finite.size == 0:
        return np.zeros(pixels.shape, np.uint8)
    largest = max(abs(float(finite.min())), abs(float(finite.max())))
    precise = np.float32 if largest <= _EXACT_IN_FLOAT32 and pixels.dtype != np.float64 else np.float64
    values = pixels.astype(precise)
    finite = values if pixels.dtype.kind != "f" else values[np.isfinite(values)]
    low, high = np.percentile(finite, (CLIP_PERCENT, 100 - CLIP_PERCENT))
    if high <= low:
        low, high = finite.min(), finite.max()
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = np.clip((values - low) * (255.0 / (high - low)), 0, 255)
    return np.asarray(np.rint(np.nan_to_num(scaled, copy=False, nan=0.0)), dtype=np.uint8)


def fully_transparent(path: Path) -> DataError:
    """Return the error of a picture whose alpha channel hides everything."""
    return DataError(
        f"{path} is fully transparent: its alpha channel is 0 everywhere, so it would be read as black. "
        "Save it without the alpha channel.",
        code="LEX-DATA-651",
    )
