"""From stored values to what a viewer shows: grey values or colours, each step once, as in PS3.4 N.2.

Modality transformation, then the window or table of values, then the inversion of MONOCHROME1. Where a file
states no window, the caller scales the values by their own range.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic import greyscale
from lexiseg.clinic.frame_pixels import GREY, PALETTE, colours_to_8bit, decode_frame, photometric
from lexiseg.clinic.view import View, Window

# These sentences also are in answers of a server, so they name an option as every interface does.
_TABLE_FIRST = (
    "The file holds a table of grey values (VOI LUT), which is used; the option 'window' (centre and width) "
    "chooses a window instead."
)
_FIRST_WINDOW = (
    "The file holds several windows; the first one is used. The option 'window' (centre and width) chooses "
    "another one."
)
_BAD_WINDOW = "The window of the file has no usable width and is not used."
_NO_WINDOW = (
    "The file states no window; grey values are scaled between their own 0.5th and 99.5th percentile. "
    "The option 'window' (centre and width) chooses a window."
)
_CONTRADICTION = "PresentationLUTShape is INVERSE for MONOCHROME2 pixels; they are shown inverted."
_NO_BODY_PART = "The body part has no window of its own; the window of the file is used."
_COLOUR_MAP = "The file holds a colour map for its grey values (PixelPresentation); the grey values are used."
_PADDING = "Pixels outside of the image (PixelPaddingValue) are shown black."


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the grey values or colours of a frame are shown; made from the header alone.

    Attributes:
        is_grey: Whether the image is grey.
        window: The window; None for a table, for colours, or where the values' own range is used.
        uses_table: Whether the table of the file is used.
        inverted: Whether the lowest value is white.
        words: What is done, in words.
        assumptions: What was assumed.
    """

    is_grey: bool
    window: Window | None
    uses_table: bool
    inverted: bool
    words: str
    assumptions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """Pixels of a frame on the stored grid.

    Attributes:
        values: `(H, W, 3)` uint8 for colours, else `(H, W)` float64; grey values of 0 to 255 where
            `is_scaled`, else values of the modality. NaN outside of the image.
        is_scaled: Whether the values are 0 to 255 already.
        inverted: Whether the lowest value is white; not yet applied.
    """

    values: npt.NDArray[Any]
    is_scaled: bool
    inverted: bool


def recipe(dataset: Dataset, index: int, view: View) -> Recipe:
    """Return how a frame is shown.

    Args:
        dataset: The file.
        index: The frame, from 0.
        view: What the user chose.
    """
    kind = photometric(dataset)
    if kind not in GREY:
        words = "palette" if kind == PALETTE else "colours"
        return Recipe(
            is_grey=False, window=None, uses_table=False, inverted=False, words=words, assumptions=()
        )
    notes = [_PADDING] if dataset.get("PixelPaddingValue") is not None else []
    if str(dataset.get("PixelPresentation", "")).strip().upper() in ("COLOR", "MIXED"):
        notes.append(_COLOUR_MAP)
    inverse = str(dataset.get("PresentationLUTShape", "")).strip().upper() == "INVERSE"
    if inverse and kind == "MONOCHROME2":
        notes.append(_CONTRADICTION)
    window, uses_table, words = _grey_range(dataset, index, view, notes)
    return Recipe(
        is_grey=True,
        window=window,
        uses_table=uses_table,
        inverted=inverse or kind == "MONOCHROME1",
        words=words,
        assumptions=tuple(notes),
    )


def render(dataset: Dataset, path: Path, index: int, chosen: Recipe, *, pixel_limit: int) -> Rendering:
    """Decode a frame and apply a recipe.

    Args:
        dataset: The file.
        path: Its name, for messages.
        index: The frame, from 0.
        chosen: From `recipe`.
        pixel_limit: Largest number of pixels that is read.

    Raises:
        DataError: The frame cannot be decoded, or a table is damaged.
    """
    stored = decode_frame(dataset, path, index, pixel_limit=pixel_limit)
    if stored.ndim == 3:
        return Rendering(values=colours_to_8bit(stored, dataset), is_scaled=True, inverted=False)
    outside = greyscale.padding(stored, dataset)
    values = greyscale.modality_values(stored, dataset, path, index)
    is_scaled = chosen.window is not None or chosen.uses_table
    if chosen.window is not None:
        values = greyscale.window_grey(values, chosen.window)
    elif chosen.uses_table:
        values = greyscale.table_grey(values, dataset, path)
    if outside is not None:
        values = np.where(outside, np.nan, values)
    return Rendering(values=values, is_scaled=is_scaled, inverted=chosen.inverted)


def _grey_range(
    dataset: Dataset, index: int, view: View, notes: list[str]
) -> tuple[Window | None, bool, str]:
    """Return the window, whether the table is used, and both in words; add what was assumed to `notes`."""
    if view.window is not None:
        return view.window, False, f"window {_shown(view.window)}, chosen"
    if view.by_body_part:
        window = greyscale.body_part_window(dataset)
        if window is not None:
            return window, False, f"window {_shown(window)} of the body part"
        notes.append(_NO_BODY_PART)
    windows = greyscale.file_windows(dataset, index)
    if greyscale.has_table(dataset):
        if windows:
            notes.append(_TABLE_FIRST)
        return None, True, "table of the file"
    if windows:
        if len(windows) > 1:
            notes.append(_FIRST_WINDOW)
        return windows[0], False, f"window {_shown(windows[0])} of the file"
    if greyscale.states_window(dataset, index):
        notes.append(_BAD_WINDOW)
    notes.append(_NO_WINDOW)
    return None, False, "range of the values"


def _shown(window: Window) -> str:
    function = "" if window.function == "LINEAR" else f" {window.function}"
    return f"{_number(window.center)}, {_number(window.width)}{function}"


def _number(value: float) -> str:
    """Return a number with all digits that tell it from others: UIDs are made of the text."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
