"""Pixels of a mask as its file stores them, and their way to whole numbers and packed colours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.decoding.stored_pixels import StoredPixels, fully_transparent
from lexiseg.errors import DataError

_LARGEST_LABEL = 2**32 - 1

#: Largest difference of the channels of a grey picture that lossy compression makes.
_COLOUR_NOISE = 24


@dataclass(frozen=True, kw_only=True)
class MaskPixels:
    """A mask's pixels as stored.

    Attributes:
        values: (H, W) unsigned integers: grey values, palette indices, or colours packed as 0xRRGGBB.
        is_colour: Whether `values` are packed colours.
        palette: Packed colour per palette index where `values` are palette indices, else None.
        is_lossy: Whether the file's format may have changed values (JPEG, lossy WebP).
        is_inverted: Whether viewers show the lowest value as white (a TIFF of the kind WhiteIsZero).
        bits: 1, 2 or 4 where `values` are grey values of so few bits; 8 for everything else.
    """

    values: npt.NDArray[np.integer]
    is_colour: bool
    palette: tuple[int, ...] | None
    is_lossy: bool
    is_inverted: bool = False
    bits: int = 8

    def shades(self) -> MaskPixels:
        """Return the grey values as viewers show them, 0 to 255; what has no fewer than 8 bits stays."""
        if self.bits == 8:
            return self
        return dataclasses.replace(self, values=self.values * np.uint8(white_step(self.bits)), bits=8)


def white_step(bits: int) -> int:
    """Return by how much each grey value of so few bits is brighter than the one before, of 0 to 255."""
    return 255 // ((1 << bits) - 1)


def resolve_palette(pixels: MaskPixels) -> MaskPixels:
    """Replace palette indices by their colours, or by grey values if all colours are grey."""
    if pixels.palette is None:
        return pixels
    packed = np.asarray(pixels.palette, dtype=np.uint32)[pixels.values]
    colours = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1).astype(np.uint8)
    values, is_colour = pack_colours(colours, None)
    return MaskPixels(values=values, is_colour=is_colour, palette=None, is_lossy=pixels.is_lossy)


def deep_mask_values(stored: StoredPixels, path: Path) -> npt.NDArray[Any]:
    """Return a deep mask's values, transparent pixels as background."""
    if stored.alpha is None:
        return stored.values
    opaque = stored.alpha > 0
    if not opaque.any() and stored.values.any():
        raise fully_transparent(path)
    drawn = np.where(opaque if stored.values.ndim == 2 else opaque[..., None], stored.values, 0)
    if not drawn.any() and not opaque.all():
        raise shape_in_alpha(path)
    return drawn.astype(stored.values.dtype)


def shape_in_alpha(path: Path) -> DataError:
    """Return the error for a mask that only the transparency shows."""
    return DataError(
        f"{path} is black everywhere; its shape is in the transparency (alpha channel). Save the alpha "
        "channel as a grey PNG: 0 for the background, 255 for the lesion.",
        code="LEX-DATA-654",
    )


def packed_palette(image: Image.Image) -> tuple[int, ...]:
    """Return the palette's colours, packed as 0xRRGGBB; black beyond its end."""
    flat = image.getpalette("RGB") or []
    colours = [flat[i] << 16 | flat[i + 1] << 8 | flat[i + 2] for i in range(0, len(flat) - 2, 3)]
    return tuple(colours + [0] * (256 - len(colours)))


def pack_colours(colours: npt.NDArray[np.integer], path: Path | None) -> tuple[npt.NDArray[np.integer], bool]:
    """Return grey values if all three channels are equal everywhere, otherwise colours as 0xRRGGBB."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), False
    wide = colours.astype(np.uint32)
    if wide.max() > 255:
        # A colour of 8 bits that was saved with 16 bits is repeated in both bytes.
        if (wide % 257).any():
            raise DataError(
                f"{path} is a colour mask of more than 8 bits per channel. Save it with 8 bits or as grey "
                f"labels.",
                code="LEX-DATA-011",
            )
        wide //= 257
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], True


def without_colour_noise(colours: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the mean of the channels if they differ by little, as in a grey picture after compression."""
    wide = colours.astype(np.int64)
    if (wide.max(axis=-1) - wide.min(axis=-1)).max(initial=0) > _COLOUR_NOISE:
        return colours
    return np.asarray(np.rint(wide.mean(axis=-1)), dtype=colours.dtype)


def whole_numbers(pixels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.integer]:
    """Return mask pixels as unsigned integers, refusing fractions, negative and very large numbers."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 4:
        return np.asarray(pixels)
    if pixels.dtype.kind == "f":
        whole = bool(np.isfinite(pixels).all()) and not (pixels != np.rint(pixels)).any()
    else:
        whole = True
    if not whole or (pixels < 0).any():
        raise DataError(
            f"{path} holds fractions or negative numbers; expected whole label values from 0 up.",
            code="LEX-DATA-020",
        )
    if pixels.size and float(pixels.max()) > _LARGEST_LABEL:
        raise DataError(
            f"{path} holds numbers up to {pixels.max()}; expected label values from 0 to {_LARGEST_LABEL}.",
            code="LEX-DATA-655",
        )
    return pixels.astype(np.uint32)
