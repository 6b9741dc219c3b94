"""Grey values: modality transformation, value of interest, padding (PS3.3 C.11.1, C.11.2 and C.7.5.1.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import BROKEN, first_value, frame_items, lack_named, numbers
from lexiseg.clinic.lookup_table import LookupTable, lookup_table
from lexiseg.clinic.view import Window, WindowFunction
from lexiseg.errors import DataError

Values = npt.NDArray[np.float64]

# Angiography stores values for display; the modality transformation would undo that (PS3.3 C.8.7.1.1.2).
_STORED_FOR_DISPLAY = ("XA", "RF", "XRF")

#: Centre and width in Hounsfield units by body part, for CT images.
BODY_PART_WINDOWS = {
    "CHEST": (-600.0, 1500.0),
    "LUNG": (-600.0, 1500.0),
    "ABDOMEN": (40.0, 400.0),
    "PELVIS": (40.0, 400.0),
    "LIVER": (60.0, 160.0),
    "HEAD": (40.0, 80.0),
    "BRAIN": (40.0, 80.0),
    "SPINE": (50.0, 350.0),
}


@dataclass(frozen=True, kw_only=True)
class ModalityScale:
    """Slope and intercept to units of the modality.

    Attributes:
        slope: Factor of the stored values.
        intercept: What is added.
        kind: The unit, such as "HU"; empty where the file states none.
    """

    slope: float
    intercept: float
    kind: str


def modality_values(stored: npt.NDArray[Any], dataset: Dataset, path: Path, frame: int) -> Values:
    """Return grey values in the units of the modality, such as Hounsfield units.

    They come from the table of the file, or from its slope and intercept, never from both.

    Raises:
        DataError: The table is damaged, or the slope or intercept is no number.
    """
    if is_stored_for_display(dataset):
        return stored.astype(np.float64)
    table = modality_table(dataset, path)
    if table is not None:
        return table.of(stored).astype(np.float64)
    scale = modality_scale(dataset, path, frame)
    return (
        stored.astype(np.float64)
        if scale is None
        else stored.astype(np.float64) * scale.slope + scale.intercept
    )


def is_stored_for_display(dataset: Dataset) -> bool:
    """Return whether stored values are those for display, so that nothing leads to units of the modality."""
    return str(dataset.get("Modality", "")).upper() in _STORED_FOR_DISPLAY


def modality_table(dataset: Dataset, path: Path) -> LookupTable | None:
    """Return the table to units of the modality; None where there is none.

    Raises:
        DataError: It is damaged.
    """
    try:
        return lookup_table(dataset, "ModalityLUTSequence") if dataset.get("ModalityLUTSequence") else None
    except BROKEN as error:
        raise DataError(
            f"{path} has a damaged modality table (ModalityLUTSequence): {lack_named(error)}. "
            "Export the file again.",
            code="LEX-DATA-957",
        ) from error


def modality_scale(dataset: Dataset, path: Path, frame: int) -> ModalityScale | None:
    """Return slope and intercept to units of the modality; None where a frame states neither.

    Raises:
        DataError: One of them is no number.
    """
    slope, intercept = (
        _rescale_number(dataset, name, path, frame) for name in ("RescaleSlope", "RescaleIntercept")
    )
    if slope is None and intercept is None:
        return None
    kind = first_value(dataset, "PixelValueTransformationSequence", "RescaleType", frame)
    return ModalityScale(slope=slope or 1.0, intercept=intercept or 0.0, kind=str(kind or "").strip())


def _rescale_number(dataset: Dataset, keyword: str, path: Path, frame: int) -> float | None:
    """Return the slope or the intercept of a frame; None where the file states none.

    Raises:
        DataError: What it states is no number.
    """
    value = first_value(dataset, "PixelValueTransformationSequence", keyword, frame)
    if value is None:
        return None
    found = numbers(value)
    if not found:
        # With another slope the image would be shown with other grey values, and nobody would see it.
        raise DataError(
            f"{path} states {str(value)!r} as its {keyword}; expected a number. Export the file again.",
            code="LEX-DATA-1020",
        )
    return found[0]


def has_table(dataset: Dataset) -> bool:
    """Return whether the file holds a table of values of interest (VOI LUT)."""
    return bool(dataset.get("VOILUTSequence"))


def voi_table(dataset: Dataset, path: Path) -> LookupTable:
    """Return the first table of values of interest of a file that holds one.

    Raises:
        DataError: It is damaged.
    """
    try:
        return lookup_table(dataset, "VOILUTSequence")
    except BROKEN as error:
        raise DataError(
            f"{path} has a damaged table of grey values (VOILUTSequence): {lack_named(error)}. "
            "Choose a window with the option 'window' (centre and width).",
            code="LEX-DATA-958",
        ) from error


def table_grey(values: Values, dataset: Dataset, path: Path) -> Values:
    """Return grey values, 0 to 255, by the first table of values of interest of the file.

    Raises:
        DataError: The table is damaged.
    """
    table = voi_table(dataset, path)
    # Some tables state fewer bits than their entries have.
    top = max(2**table.bits - 1, int(table.entries.max()))
    return np.asarray(table.of(values).astype(np.float64) * (255.0 / top))


def file_windows(dataset: Dataset, frame: int) -> list[Window]:
    """Return the windows of a frame that can be used: numbers, and a width of more than 1.

    A width of 1 is what some devices write for "no window"; it would show black and white only.
    """
    for item in frame_items(dataset, "FrameVOILUTSequence", frame):
        centers, widths = numbers(item.get("WindowCenter")), numbers(item.get("WindowWidth"))
        function = _function(item.get("VOILUTFunction"))
        smallest = 1.0 if function == "LINEAR" else 0.0
        found = [
            Window(center=center, width=width, function=function)
            for center, width in zip(centers, widths, strict=False)
            if np.isfinite(center) and np.isfinite(width) and width > smallest
        ]
        if found:
            return found
    return []


def states_window(dataset: Dataset, frame: int) -> bool:
    """Return whether a frame states any window, usable or not."""
    return any(
        item.get("WindowWidth") is not None for item in frame_items(dataset, "FrameVOILUTSequence", frame)
    )


def body_part_window(dataset: Dataset) -> Window | None:
    """Return the window of the body part of a CT image; None for other images and parts."""
    if str(dataset.get("Modality", "")).upper() != "CT":
        return None
    part = str(dataset.get("BodyPartExamined", "")).strip().upper()
    for name, (center, width) in BODY_PART_WINDOWS.items():
        if name in part:
            return Window(center=center, width=width)
    return None


def window_grey(values: Values, window: Window) -> Values:
    """Return grey values, 0 to 255, of a window.

    LINEAR and LINEAR_EXACT differ by half a value (PS3.3 C.11.2.1.2.1, C.11.2.1.3.2); SIGMOID is
    C.11.2.1.3.1.
    """
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        return np.asarray(255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700, 700))))
    if window.function == "LINEAR_EXACT":
        share = (values - center) / width + 0.5
    elif width <= 1:
        share = np.where(values <= center - 0.5, 0.0, 1.0)
    else:
        share = (values - (center - 0.5)) / (width - 1) + 0.5
    return np.asarray(np.clip(share, 0.0, 1.0) * 255.0)


def padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Return which pixels lie outside of the image (PixelPaddingValue); None where there are none."""
    value = numbers(dataset.get("PixelPaddingValue"))
    if not value:
        return None
    limit = numbers(dataset.get("PixelPaddingRangeLimit"))
    low, high = sorted(_as_stored(one, stored.dtype) for one in (value[0], limit[0] if limit else value[0]))
    outside = (stored >= low) & (stored <= high)
    return outside if outside.any() and not outside.all() else None


def _as_stored(value: float, dtype: np.dtype[Any]) -> float:
    """Return a value of the header as pixels hold it.

    Many files of signed pixels state -2000 as 63536, with the type of unsigned numbers; others the reverse.
    """
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    if limits.min < 0 and limits.max < value < 1 << limits.bits:
        return value - (1 << limits.bits)
    if limits.min == 0 and -(1 << limits.bits - 1) <= value < 0:
        return value + (1 << limits.bits)
    return value


def _function(value: Any) -> WindowFunction:
    text = str(value or "LINEAR").strip().upper()
    if text == "LINEAR_EXACT":
        return "LINEAR_EXACT"
    return "SIGMOID" if text == "SIGMOID" else "LINEAR"
