"""The rule from mask pixel values to labels: stated in `dataset.yaml`, or inferred from the masks."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lexiseg.data.decode import MaskPixels, resolve_palette
from lexiseg.data.mask_histograms import MaskHistogram, mask_histograms, spread
from lexiseg.errors import DataError

Kind = Literal["values", "colours", "threshold", "nearest"]

#: A mask with more values is treated as a picture, unless `dataset.yaml` lists its classes.
MAX_INFERRED_CLASSES = 32

#: Threshold of a lossy binary mask: values above are lesion.
LOSSY_THRESHOLD = 127

#: Number of masks read to infer the coding; all masks are read if these have more than two classes.
MASKS_READ = 64

_EXPLICIT = "List the classes in dataset.yaml, as `classes: {0: background, 255: lesion}`"
_UNKNOWN_LABEL = 255


@dataclass(frozen=True, kw_only=True)
class MaskCoding:
    """The rule from pixel values to labels.

    Attributes:
        kind: "values" and "colours" histogram up each pixel and refuse unknown ones; "threshold" applies
            `LOSSY_THRESHOLD` to a lossy binary mask; "nearest" takes the nearest listed grey value.
        values: Pixel values with a label: grey values, palette indices, or colours packed as 0xRRGGBB.
        labels: The label of each of `values`; 0 is the background.
        indexed: Whether palette files are read by index; otherwise by the colours of their palette.
    """

    kind: Kind
    values: tuple[int, ...] = (0, 255)
    labels: tuple[int, ...] = (0, 1)
    indexed: bool = False

    @property
    def num_classes(self) -> int:
        """Number of labels, background included."""
        return max(self.labels) + 1

    def to_labels(self, pixels: MaskPixels) -> npt.NDArray[np.uint8]:
        """Return the labels of a mask's pixels.

        Args:
            pixels: A decoded mask.

        Returns:
            (H, W) uint8 labels.

        Raises:
            ValueError: A pixel value has no label; the message lists such values.
        """
        if not self.indexed:
            pixels = resolve_palette(pixels)
        values = pixels.values
        if self.kind == "colours":
            if not pixels.is_colour:
                # A mask without colours, such as an empty one, is decoded as grey.
                values = values.astype(np.uint32) * 0x010101
            return self._look_up_sorted(values, _hex)
        if pixels.is_colour:
            raise ValueError("it holds colours, but the other masks hold grey values")
        if self.kind == "threshold":
            return np.asarray(values > LOSSY_THRESHOLD, dtype=np.uint8)
        if self.kind == "nearest":
            return np.asarray(self._table[np.minimum(values, 255)])
        if values.dtype == np.uint8 and max(self.values) < 256:
            labels: npt.NDArray[np.uint8] = self._table[values]
            if labels.max(initial=0) == _UNKNOWN_LABEL:
                raise ValueError(_no_label(np.unique(values[labels == _UNKNOWN_LABEL]), self.values, str))
            return labels
        return self._look_up_sorted(values, str)

    def to_dict(self) -> dict[str, Any]:
        """Return the coding as JSON-able values; `from_dict` is its inverse."""
        return {
            "kind": self.kind,
            "values": list(self.values),
            "labels": list(self.labels),
            "indexed": self.indexed,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> MaskCoding:
        """Build a coding from the values of `to_dict`."""
        return cls(
            kind=value["kind"],
            values=tuple(value["values"]),
            labels=tuple(value["labels"]),
            indexed=value["indexed"],
        )

    @functools.cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        """Label per grey value 0..255; `_UNKNOWN_LABEL` for values without one."""
        known = np.asarray(self.values)
        labels = np.asarray(self.labels, dtype=np.uint8)
        if self.kind == "nearest":
            distance = np.abs(np.arange(256)[:, None] - known[None, :])
            return np.asarray(labels[distance.argmin(axis=1)])
        table = np.full(256, _UNKNOWN_LABEL, dtype=np.uint8)
        table[known] = labels
        return table

    def _look_up_sorted(self, values: npt.NDArray[np.integer], show: Any) -> npt.NDArray[np.uint8]:
        """Return the labels of values of any size, by bisection."""
        order = np.argsort(self.values)
        known = np.asarray(self.values, dtype=np.int64)[order]
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        wrong = known[place] != values
        if wrong.any():
            raise ValueError(_no_label(np.unique(values[wrong]), self.values, show))
        return np.asarray(self.labels, dtype=np.uint8)[order][place]


def infer_mask_coding(
    paths: Sequence[Path], *, skip_unreadable: bool = False
) -> tuple[MaskCoding, tuple[str, ...]]:
    """Infer the coding from some masks, or from all masks if they hold several classes.

    Args:
        paths: Mask files; not those of a test split, which must not influence anything.
        skip_unreadable: Whether to skip masks that cannot be read instead of raising.

    Returns:
        The coding, and notes on what was assumed, one sentence each.

    Raises:
        DataError: A mask cannot be read, or the classes cannot be inferred from the values.
    """
    histograms = mask_histograms(spread(paths, MASKS_READ), skip_unreadable=skip_unreadable)
    coding, assumptions = coding_of_histograms(histograms)
    if coding.num_classes > 2 and len(paths) > len(histograms):
        coding, assumptions = coding_of_histograms(mask_histograms(paths, skip_unreadable=skip_unreadable))
    return coding, assumptions


def coding_of_histograms(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, tuple[str, ...]]:
    """Return the coding of masks with such histograms; see `infer_mask_coding`."""
    if not histograms:
        raise DataError(
            "There is no mask from which the classes could be inferred. Add masks, or list the classes in "
            "dataset.yaml.",
            code="LEX-DATA-044",
        )
    indexed, histograms = _agree_on_palette(histograms)
    assumptions = ["Masks with a palette are read by palette index."] if indexed else []
    if any(histogram.is_colour for histogram in histograms):
        coding, more = _colour_coding(histograms)
    else:
        coding, more = _grey_coding(histograms)
    coding = MaskCoding(kind=coding.kind, values=coding.values, labels=coding.labels, indexed=indexed)
    return coding, tuple(assumptions + more)


def explicit_coding(
    classes: Mapping[int | str, str], histograms: Sequence[MaskHistogram]
) -> tuple[MaskCoding, tuple[str, ...]]:
    """Return the coding that `classes` of `dataset.yaml` states, and the class names, background first.

    Args:
        classes: Name per grey value or per colour "#rrggbb"; values with the same name become one class.
            Labels follow the order of the names, after the background, which is value 0 (or "#000000").
        histograms: Histograms of some masks, which show whether masks are lossy or have a palette.

    Raises:
        DataError: Values and colours are mixed, or there are too few or too many classes.
    """
    colours = [isinstance(value, str) for value in classes]
    if any(colours) and not all(colours):
        raise DataError(
            "dataset.yaml, classes: expected either grey values (0, 1) or colours ('#ff0000'), got both.",
            code="LEX-DATA-045",
        )
    kind: Kind = "colours" if any(colours) else "values"
    values = [int(value.removeprefix("#"), 16) if isinstance(value, str) else value for value in classes]
    by_value = dict(zip(values, classes.values(), strict=True))
    by_value.setdefault(0, "background")
    names = list(dict.fromkeys([by_value[0], *by_value.values()]))
    if not 2 <= len(names) < _UNKNOWN_LABEL:
        raise DataError(
            f"dataset.yaml, classes: expected 2 to {_UNKNOWN_LABEL - 1} class names, got {len(names)}: "
            f"{names}.",
            code="LEX-DATA-046",
        )
    if kind == "values" and any(histogram.is_lossy for histogram in histograms):
        kind = "nearest"
    indexed = _agree_on_palette(histograms)[0] if kind == "values" else False
    labels = tuple(names.index(name) for name in by_value.values())
    return MaskCoding(kind=kind, values=tuple(by_value), labels=labels, indexed=indexed), tuple(names)


def _agree_on_palette(histograms: Sequence[MaskHistogram]) -> tuple[bool, Sequence[MaskHistogram]]:
    """Return whether palette files are read by index, and the histograms in the resulting values.

    Indices are classes if every file has the same palette with black (the background) first. Image editors
    make a new palette for each file, which numbers the colours differently each time; then the colours are
    used.
    """
    palettes = [histogram for histogram in histograms if histogram.palette is not None]
    if not palettes:
        return False, histograms
    highest = max(max(histogram.counts) for histogram in palettes)
    heads = {histogram.palette[: highest + 1] for histogram in palettes if histogram.palette is not None}
    if len(palettes) == len(histograms) and len(heads) == 1 and next(iter(heads))[0] == 0:
        return True, histograms
    return False, [_resolved(histogram) for histogram in histograms]


def _resolved(histogram: MaskHistogram) -> MaskHistogram:
    """Return a histogram with palette indices replaced by grey values or colours."""
    if histogram.palette is None:
        return histogram
    counts: dict[int, int] = {}
    for index, count in histogram.counts.items():
        counts[histogram.palette[index]] = counts.get(histogram.palette[index], 0) + count
    is_colour = any(colour != (colour & 255) * 0x010101 for colour in counts)
    if not is_colour:
        counts = {colour & 255: count for colour, count in counts.items()}
    return MaskHistogram(
        path=histogram.path, counts=counts, is_colour=is_colour, palette=None, is_lossy=histogram.is_lossy
    )


def _colour_coding(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, list[str]]:
    """Return the coding of colour masks: each colour is a class, black the background."""
    found: set[int] = set()
    for histogram in histograms:
        found |= (
            set(histogram.counts) if histogram.is_colour else {value * 0x010101 for value in histogram.counts}
        )
        if histogram.is_lossy or len(found) > MAX_INFERRED_CLASSES:
            raise DataError(
                f"{histogram.path} is a colour mask whose colours cannot be distinguished ("
                + ("JPEG changes colours" if histogram.is_lossy else f"{len(found)} different ones")
                + "). Save masks as PNG with one colour per class, black for the background.",
                code="LEX-DATA-047",
            )
    if 0 not in found:
        shown = ", ".join(_hex(colour) for colour in sorted(found))
        raise DataError(
            f"The masks (such as {histograms[0].path}) hold the colours {shown}, but no black for the "
            "background. List the classes in dataset.yaml, as `classes: {'#000000': background, '#ff0000': "
            "lesion}`.",
            code="LEX-DATA-048",
        )
    values = tuple(sorted(found))
    shown = ", ".join(f"{_hex(colour)} is class {label}" for label, colour in enumerate(values) if label)
    return (
        MaskCoding(kind="colours", values=values, labels=tuple(range(len(values)))),
        [f"Masks are colours: black is the background, {shown}."],
    )


def _grey_coding(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, list[str]]:
    """Return the coding of grey masks: binary, several classes, or lossy."""
    totals: dict[int, int] = {}
    for histogram in histograms:
        for value, count in histogram.counts.items():
            totals[value] = totals.get(value, 0) + count
    found = sorted(totals)
    is_lossy = any(histogram.is_lossy for histogram in histograms)
    if (is_lossy and found != [0]) or len(found) > MAX_INFERRED_CLASSES:
        return _lossy_coding(totals, histograms, is_lossy)
    if found == [0]:
        return (
            MaskCoding(kind="values", values=(0, 1, 255), labels=(0, 1, 1)),
            ["All masks read are empty; 1 and 255 would be read as lesion."],
        )
    foreground = [value for value in found if value]
    if len(foreground) == 1:
        said = [] if foreground[0] in (1, 255) else [f"Mask value {foreground[0]} is read as lesion."]
        return MaskCoding(kind="values", values=(0, foreground[0]), labels=(0, 1)), said
    if foreground == [1, 255]:
        both = [histogram for histogram in histograms if {1, 255} <= set(histogram.counts)]
        if both:
            raise DataError(
                f"{both[0].path} holds the values 1 and 255 in one mask; 255 may be a second class or "
                f"'ignore'. {_EXPLICIT}.",
                code="LEX-DATA-049",
            )
        return (
            MaskCoding(kind="values", values=(0, 1, 255), labels=(0, 1, 1)),
            ["Some masks write the lesion as 1 and some as 255; both are read as lesion."],
        )
    shown = ", ".join(f"{value} is class {label}" for label, value in enumerate(foreground, 1))
    return (
        MaskCoding(kind="values", values=(0, *foreground), labels=tuple(range(len(foreground) + 1))),
        [
            f"Masks hold several classes: 0 is the background, {shown}. Name them in dataset.yaml under "
            "`classes`."
        ],
    )


def _lossy_coding(
    totals: dict[int, int], histograms: Sequence[MaskHistogram], is_lossy: bool
) -> tuple[MaskCoding, list[str]]:
    """Return the threshold coding of masks with values around 0 and 255; refuse all others."""
    name = histograms[0].path
    highest = max(totals)
    bright = sum(count for value, count in totals.items() if value >= 64)
    between = sum(count for value, count in totals.items() if 64 <= value < 192)
    if highest < 192 or highest > 255:
        what = (
            "in JPEG masks such values cannot be distinguished from noise"
            if is_lossy
            else "this histograms like a picture, not a mask"
        )
        raise DataError(
            f"The masks (such as {name}) hold {len(totals)} different values up to {highest}; {what}. "
            "Expected 0 and 255, or one whole number per class; save masks as PNG.",
            code="LEX-DATA-050",
        )
    if between > 0.2 * bright:
        raise DataError(
            f"The masks (such as {name}) hold {len(totals)} different values, many of them midway between 0 "
            f"and 255. {_EXPLICIT} (each pixel then takes the nearest value), or save masks as PNG with one "
            "value per class.",
            code="LEX-DATA-051",
        )
    reason = (
        "were saved as JPEG, which changes values"
        if is_lossy
        else f"hold {len(totals)} values around 0 and 255"
    )
    return MaskCoding(kind="threshold"), [
        f"Masks {reason}: values above {LOSSY_THRESHOLD} are read as lesion."
    ]


def _hex(colour: int) -> str:
    return f"#{colour:06x}"


def _no_label(values: npt.NDArray[np.integer], known: tuple[int, ...], show: Any) -> str:
    found = ", ".join(show(int(value)) for value in values[:8]) + (", ..." if len(values) > 8 else "")
    return f"it holds {found}; known are {', '.join(show(value) for value in sorted(known))}"
