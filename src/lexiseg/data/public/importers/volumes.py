"""What NIfTI and DICOM share: how stored numbers become grey pixels, and the extra that reads them.

Slices are written in the order in which the numbers are stored: the index that varies fastest in the file
runs along a picture's row (left to right), the next one down its rows, the third counts the slices. Nothing
is mirrored, turned or resampled, whatever the file says of its position in the patient.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.data.public.importers.source import Pixels
from lexiseg.errors import UsageError

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
            f"Reading these volumes needs {package}, which the extra 'volumes' installs: "
            f"pip install 'lexiseg[volumes]'.",
            code="LEX-USE-011",
        ) from error


def to_pixels(values: npt.NDArray[np.generic]) -> tuple[Pixels, str | None]:
    """Turn a volume's numbers into grey values of 8 or 16 bits; one rule for all its slices.

    Whole numbers from 0 to 255 are kept as 8 bits, whole numbers from 0 to 65535 as 16 bits. Anything else is
    stretched linearly from the volume's own range to 0..65535, and that is said.

    Args:
        values: Any shape, any number type, without NaN.

    Returns:
        The same shape, uint8 or uint16, and what was done, or None if the numbers were kept.
    """
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iub" or bool(np.all(values == np.rint(values)))
    if whole and low >= 0 and high <= _DEEPEST:
        return (values.astype(np.uint8), None) if high <= 255 else (values.astype(np.uint16), None)
    scale = _DEEPEST / (high - low) if high > low else 0.0
    stretched = np.rint((values.astype(np.float64) - low) * scale).astype(np.uint16)
    return stretched, f"its values {low:g} to {high:g} were stretched to 0 to {_DEEPEST}"


def in_window(hounsfield: npt.NDArray[np.floating], window: tuple[int, int]) -> Pixels:
    """Spread a window of Hounsfield units over 8 bits, so that a unit has the same grey in every slice.

    Deeper pixels would be stretched anew for each picture when it is read (`scale_to_8bit`).

    Args:
        hounsfield: CT numbers, any shape.
        window: The units that become 0 and 255; what lies outside is clipped.

    Returns:
        The same shape, uint8.
    """
    low, high = window
    grey = (np.clip(hounsfield, low, high) - low) * (255.0 / (high - low))
    return np.asarray(np.rint(grey), dtype=np.uint8)
