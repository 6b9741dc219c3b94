"""Masks, images and probabilities as texts of JSON: PNG files, polygons and compressed numbers."""

from __future__ import annotations

import base64
import io
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.outlines import outlines
from lexiseg.data.mask_png import mask_png
from lexiseg.serving.records.predictions import ClassOutlines

# Fast: the answer is made while its request waits.
_PNG_LEVEL, _ZLIB_LEVEL = 1, 1


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return pixels `(H, W)` or `(H, W, 3)` as a PNG file; one with three equal channels becomes grey."""
    if (
        pixels.ndim == 3
        and (pixels[..., 0] == pixels[..., 1]).all()
        and (pixels[..., 0] == pixels[..., 2]).all()
    ):
        pixels = pixels[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def png_text(pixels: npt.NDArray[np.uint8]) -> str:
    """Return `png` in base64."""
    return base64.b64encode(png(pixels)).decode("ascii")


def mask_text(labels: npt.NDArray[np.uint8]) -> str:
    """Return the labels `(H, W)` of a mask as a PNG file in base64."""
    return base64.b64encode(mask_png(labels)).decode("ascii")


def class_outlines(mask: npt.NDArray[np.uint8], classes: tuple[str, ...]) -> tuple[ClassOutlines, ...]:
    """Return the outlines of each foreground class of a mask `(H, W)`; a class without pixels has none."""
    found = []
    for label, name in enumerate(classes[1:], 1):
        regions, count = outlines(mask == label)
        polygons = tuple(region.points.tolist() for region in regions)
        found.append(ClassOutlines(label=label, name=name, polygons=polygons, regions=count))
    return tuple(found)


def floats_text(values: npt.NDArray[np.float32]) -> str:
    """Return numbers as little-endian float32, compressed with zlib, in base64."""
    content = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return base64.b64encode(zlib.compress(content, _ZLIB_LEVEL)).decode("ascii")
