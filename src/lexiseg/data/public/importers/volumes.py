"""Shared parts of the NIfTI and DICOM importers: conversion of stored numbers to grey pixels.

Slices are written in stored order: the fastest index runs along a picture's row (left to right), the next one
down its rows, the third over the slices. Slices are never mirrored, rotated or resampled, whatever
orientation the file states.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.data.public.importers.source import Pixels
from lexiseg.errors import UsageError
from lexiseg.extras import install_hint

_DEEPEST = 65535


def need(package: str) -> Any:
    """Import a package of the extra `volumes`.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(
            f"Reading these volumes needs the package '{package}', which is not installed. "
            f"{install_hint('volumes')}",
            code="LEX-USE-011",
        ) from error


def to_pixels(values: npt.NDArray[np.generic]) -> tuple[Pixels, str | None]:
    """Return a volume's numbers as grey values of 8 or 16 bits; all slices are converted in the same way.

    Whole numbers from 0 to 255 become 8 bits, whole numbers from 0 to 65535 become 16 bits. All others are
    scaled linearly from the volume's own range to 0..65535, and a note says so.

    Args:
        values: Any shape, any number type, without NaN.

    Returns:
        The same shape, uint8 or uint16, and the note; None if the numbers are unchanged.
    """
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iub" or bool(np.all(values == np.rint(values)))
    if whole and low >= 0 and high <= _DEEPEST:
        return (values.astype(np.uint8), None) if high <= 255 else (values.astype(np.uint16), None)
    scale = _DEEPEST / (high - low) if high > low else 0.0
    stretched = np.rint((values.astype(np.float64) - low) * scale).astype(np.uint16)
    return stretched, f"its values {low:g} to {high:g} were scaled to 0 to {_DEEPEST}"


def in_window(hounsfield: npt.NDArray[np.floating], window: tuple[int, int]) -> Pixels:
    """Map a window of Hounsfield units to 8 bits, so that a unit has the same grey value in every slice.

    Pixels of more than 8 bits would be scaled separately for each picture when read (`scale_to_8bit`).

    Args:
        hounsfield: CT numbers, any shape.
        window: The units that become 0 and 255; values outside are clipped.

    Returns:
        The same shape, uint8.
    """
    low, high = window
    grey = (np.clip(hounsfield, low, high) - low) * (255.0 / (high - low))
    return np.asarray(np.rint(grey), dtype=np.uint8)
