"""How a presentation state shows grey values: as the network got them, with table, window and inversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import (
    LUT,
    VOILUT,
    ModalityLUT,
    ModalityLUTTransformation,
    PresentationLUTShapeValues,
    PresentationLUTTransformation,
)
from highdicom.pr import SoftcopyVOILUTTransformation
from pydicom.dataset import Dataset

from lexiseg.clinic.greyscale import is_stored_for_display, modality_scale, modality_table, voi_table
from lexiseg.clinic.lookup_table import MOST_ENTRIES
from lexiseg.clinic.rendering import Recipe

#: What a header states of grey values; a library copies it where nothing else is stated.
_OF_HEADER = (
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
)
_WRITTEN_BITS = 16
_LARGEST_SIGNED = (1 << 15) - 1
_UNSPECIFIED = "US"


def grey_transformations(source: Dataset, path: Path, index: int, shown: Recipe) -> dict[str, Any]:
    """Return how grey values of a frame are shown, as arguments of a presentation state.

    Args:
        source: The source image.
        path: Its name, for messages.
        index: The frame, from 0.
        shown: How the image was shown to the network.

    Raises:
        DataError: A table is damaged.
    """
    shape = PresentationLUTShapeValues.INVERSE if shown.inverted else PresentationLUTShapeValues.IDENTITY
    found: dict[str, Any] = {
        "presentation_lut_transformation": PresentationLUTTransformation(presentation_lut_shape=shape)
    }
    modality = _modality(source, path, index)
    if modality is not None:
        found["modality_lut_transformation"] = modality
    window = shown.window
    if window is not None:
        found["voi_lut_transformations"] = [
            SoftcopyVOILUTTransformation(
                window_center=window.center, window_width=window.width, voi_lut_function=window.function
            )
        ]
    elif shown.uses_table:
        table = voi_table(source, path)
        # Its entries are stretched, so that all bits are used, and those above its stated bits count.
        top = max(2**table.bits - 1, int(table.entries.max()))
        entries = np.rint(table.entries * ((2**_WRITTEN_BITS - 1) / top))
        written = VOILUT(0, entries.astype(np.uint16))
        _state(written, table.first, entries)
        found["voi_lut_transformations"] = [SoftcopyVOILUTTransformation(voi_luts=[written])]
    return found


def without_grey_values(header: Dataset) -> None:
    """Remove from a header what `grey_transformations` states."""
    for keyword in _OF_HEADER:
        if keyword in header:
            delattr(header, keyword)


def _modality(source: Dataset, path: Path, index: int) -> ModalityLUTTransformation | None:
    """Return the transformation to units of the modality that the image was shown with; None for none."""
    if is_stored_for_display(source):
        return None
    table = modality_table(source, path)
    if table is not None:
        kind = str(source.ModalityLUTSequence[0].get("ModalityLUTType") or _UNSPECIFIED)
        written = ModalityLUT(kind, 0, table.entries)
        _state(written, table.first, table.entries)
        return ModalityLUTTransformation(modality_lut=written)
    scale = modality_scale(source, path, index)
    if scale is None:
        return None
    return ModalityLUTTransformation(
        rescale_slope=scale.slope, rescale_intercept=scale.intercept, rescale_type=scale.kind or _UNSPECIFIED
    )


def _state(written: LUT, first: int, entries: npt.NDArray[Any]) -> None:
    """Set first value and entries of a table; the library takes no negative value."""
    count = len(entries) % MOST_ENTRIES
    is_signed = first < 0
    if is_signed and count > _LARGEST_SIGNED:
        count -= MOST_ENTRIES
    written.add_new("LUTDescriptor", "SS" if is_signed else "US", [count, first, _WRITTEN_BITS])
    written.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
