"""The coding of grey masks, inferred: two classes, several classes, or two classes with noise."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.data.bit_depths import LESION_VALUES
from lexiseg.data.mask_coding import LOSSY_THRESHOLD, MaskCoding
from lexiseg.data.mask_histograms import MaskHistogram
from lexiseg.data.mask_noise import looks_like, total_counts
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: A mask with more values is treated as a picture, unless `dataset.yaml` lists its classes.
MAX_INFERRED_CLASSES = 32

_EXPLICIT = "List the classes in dataset.yaml, as `classes: {0: background, 255: lesion}`"


def grey_coding(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, list[str]]:
    """Return the coding of grey masks, and notes on what was assumed.

    Args:
        histograms: Histograms of all masks, of grey values or palette indices.

    Raises:
        DataError: The values do not determine the classes.
    """
    totals = total_counts(histograms)
    found = sorted(totals)
    foreground = [value for value in found if value]
    if any(histogram.is_lossy for histogram in histograms) and foreground:
        return _lossy_set(histograms)
    if not foreground:
        return (
            MaskCoding(kind="values", values=(0, 1, 255), labels=(0, 1, 1)),
            ["All masks read are empty; 1 and 255 would be read as lesion."],
        )
    if len(foreground) == 1:
        said = [] if foreground[0] in (1, 255) else [f"Mask value {foreground[0]} is read as lesion."]
        return MaskCoding(kind="values", values=(0, foreground[0]), labels=(0, 1)), said
    if set(foreground) <= LESION_VALUES:
        return _several_bit_depths(histograms, foreground)
    looks = looks_like(histograms)
    if looks == "noise":
        return _noisy_coding(totals, histograms, edges=True)
    if looks == "unclear":
        raise _unclear(totals, histograms)
    if len(found) > MAX_INFERRED_CLASSES:
        return _noisy_coding(totals, histograms)
    _refuse_unclear_background(totals, histograms)
    _refuse_ignored_value(foreground, histograms)
    shown = ", ".join(f"{value} is class {label}" for label, value in enumerate(foreground, 1))
    return (
        MaskCoding(kind="values", values=(0, *foreground), labels=tuple(range(len(foreground) + 1))),
        [
            f"Masks hold several classes: 0 is the background, {shown}. Name them in dataset.yaml under "
            "`classes`."
        ],
    )


def _refuse_unclear_background(totals: dict[int, int], histograms: Sequence[MaskHistogram]) -> None:
    """Refuse masks of several values none of which is 0: any of them may be the background."""
    if 0 in totals:
        return
    values = sorted(totals)
    shown = ", ".join(map(str, values[:8])) + (", ..." if values[8:] else "")
    raise DataError(
        f"No mask (such as {histograms[0].path}) holds the value 0; the values are {shown}. State which one "
        f"is the background in dataset.yaml, as `classes: {{{values[0]}: background, {values[1]}: lesion}}`.",
        code="LEX-DATA-707",
    )


def _refuse_ignored_value(foreground: list[int], histograms: Sequence[MaskHistogram]) -> None:
    """Refuse the highest number beside several small ones: it may be a class or stand for "ignore"."""
    highest, labels = foreground[-1], foreground[:-1]
    if highest not in (255, 65535) or len(labels) < 2 or labels[-1] >= MAX_INFERRED_CLASSES:
        return
    path = next(histogram.path for histogram in histograms if highest in histogram.counts)
    raise DataError(
        f"{path} holds the value {highest}, while the other values are {', '.join(map(str, labels))}; "
        f"{highest} may be a class or 'ignore'. List the classes in dataset.yaml, as `classes: {{0: "
        f"background, {labels[0]}: first class, {highest}: background}}`.",
        code="LEX-DATA-708",
    )


def _several_bit_depths(
    histograms: Sequence[MaskHistogram], foreground: list[int]
) -> tuple[MaskCoding, list[str]]:
    """Return the coding of two-class masks whose lesion has the highest number of different bit depths."""
    both = [h for h in histograms if len([value for value in h.counts if value]) > 1]
    if both:
        first, second = sorted(value for value in both[0].counts if value)[:2]
        raise DataError(
            f"{both[0].path} holds the values {first} and {second} in one mask; {second} may be a second "
            f"class or 'ignore'. State which in dataset.yaml: `{_both_lesion(foreground)}` if all are "
            "lesion, with `background` for a value to ignore, or with another name for another class.",
            code="LEX-DATA-049",
        )
    counts = {value: sum(value in h.counts for h in histograms) for value in foreground}
    shown = " and ".join(
        f"some as {value} ({counted(count, 'mask')})"
        for value, count in counts.items()
        if value != foreground[0]
    )
    return (
        MaskCoding(kind="values", values=(0, *foreground), labels=(0, *(1 for _ in foreground))),
        [
            f"Some masks write the lesion as {foreground[0]} ({counted(counts[foreground[0]], 'mask')}) and "
            f"{shown}; all are read as lesion."
        ],
    )


def _both_lesion(foreground: list[int]) -> str:
    """Return the `classes` of a dataset.yaml that names each value of the masks."""
    lines = ", ".join(f"{value}: lesion" for value in foreground)
    return f"classes: {{0: background, {lines}}}"


def _unclear(totals: dict[int, int], histograms: Sequence[MaskHistogram]) -> DataError:
    solid = set().union(*(histogram.solid for histogram in histograms))
    strays = sorted(value for value in totals if value and value not in solid)
    some = next(h for h in histograms if any(value in h.counts for value in strays))
    shown = ", ".join(map(str, strays[:8])) + (", ..." if strays[8:] else "")
    return DataError(
        f"The masks (such as {some.path}) hold values that form no region ({len(strays)}): {shown}. They may "
        f"be noise, edges of a resized mask, or thin classes. {_EXPLICIT}, with every value that is a class; "
        "resize masks with nearest neighbour.",
        code="LEX-DATA-657",
    )


def _lossy_set(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, list[str]]:
    """Return the coding of a set with lossy masks; lossless masks of 0 and 1 among them are labels."""
    labels = [h for h in histograms if not h.is_lossy and max(h.counts) == 1]
    others = [h for h in histograms if h.is_lossy or max(h.counts) != 1]
    coding, notes = _noisy_coding(total_counts(others), others)
    if not labels:
        return coding, notes
    return MaskCoding(kind="binary"), [
        *notes,
        f"{counted(len(labels), 'mask is not lossy and holds', 'masks are not lossy and hold')} 0 and 1: 1 "
        "is read as lesion there.",
    ]


def _noisy_coding(
    totals: dict[int, int], histograms: Sequence[MaskHistogram], *, edges: bool = False
) -> tuple[MaskCoding, list[str]]:
    """Return the threshold coding of masks with values around 0 and 255; refuse all others.

    Args:
        totals: Number of pixels by value in all masks.
        histograms: The masks.
        edges: Whether values between are known to stand at edges only.
    """
    is_lossy = any(histogram.is_lossy for histogram in histograms)
    name = histograms[0].path
    highest = max(totals)
    bright = sum(count for value, count in totals.items() if value >= 64)
    between = sum(count for value, count in totals.items() if 64 <= value < 192)
    if highest < 192 or highest > 255:
        what = (
            "in JPEG masks such values cannot be distinguished from noise"
            if is_lossy
            else "this looks like a picture, not a mask"
        )
        raise DataError(
            f"The masks (such as {name}) hold {_number_of_values(totals, histograms)} different values up to "
            f"{highest}; {what}. "
            "Expected 0 and 255, or one whole number per class; save masks as PNG.",
            code="LEX-DATA-050",
        )
    if not edges and between > 0.2 * bright:
        raise DataError(
            f"The masks (such as {name}) hold {len(totals)} different values, many of them midway between 0 "
            f"and 255. {_EXPLICIT} (each pixel then takes the nearest value), or save masks as PNG with one "
            "value per class.",
            code="LEX-DATA-051",
        )
    _refuse_dark_masks(histograms)
    reason = (
        "were saved as JPEG or lossy WebP, which changes values"
        if is_lossy
        else f"hold {len(totals)} values around 0 and 255"
    )
    return MaskCoding(kind="threshold"), [
        f"Masks {reason}: values above {LOSSY_THRESHOLD} are read as lesion."
    ]


def _number_of_values(totals: dict[int, int], histograms: Sequence[MaskHistogram]) -> int:
    """Return how many values masks hold at least; not all values of a picture are counted."""
    return max(len(totals), *(histogram.num_values for histogram in histograms))


def _refuse_dark_masks(histograms: Sequence[MaskHistogram]) -> None:
    """Refuse masks that the threshold would make empty although they hold values above 0."""
    dark = [h for h in histograms if 0 < max(h.counts) <= LOSSY_THRESHOLD]
    if dark:
        raise DataError(
            f"No value in {len(dark)} of {counted(len(histograms), 'mask')} (such as {dark[0].path}) is "
            f"above {max(dark[0].counts)}, while the lesion is 255 in the others. Save all masks as PNG with "
            "the same values, 0 and 255.",
            code="LEX-DATA-658",
        )
