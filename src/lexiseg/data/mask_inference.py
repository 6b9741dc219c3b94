"""The coding of masks, inferred from the values that all of them hold, or as `dataset.yaml` states it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lexiseg.data.bit_depths import as_shades, settle_depths
from lexiseg.data.decoding.mask_pixels import MaskPixels
from lexiseg.data.grey_masks import MAX_INFERRED_CLASSES, grey_coding
from lexiseg.data.mask_coding import UNKNOWN_LABEL, Kind, MaskCoding, colour_name
from lexiseg.data.mask_histograms import MaskHistogram, mask_histograms
from lexiseg.data.mask_palettes import (
    BY_INDEX,
    agree_on_palette,
    for_test_palettes,
    refuse_grey_among_colours,
)
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: With fewer masks, nothing is said about what most of them have in common.
_FEW = 3


def infer_mask_coding(
    paths: Sequence[Path], *, test_paths: Sequence[Path] = (), skip_unreadable: bool = False
) -> tuple[MaskCoding, tuple[str, ...]]:
    """Infer the coding from the value sets of all masks.

    The masks of a test split add no class. Where they write the same two classes with other values, these
    values are read too; where they have another palette, all masks are read by colour. Values that stand for
    no class are refused when the mask is read.

    Args:
        paths: Mask files that decide what the classes are.
        test_paths: Mask files of the test split.
        skip_unreadable: Whether to skip masks that cannot be read instead of raising.

    Returns:
        The coding, and notes on what was assumed, one sentence each.

    Raises:
        DataError: A mask cannot be read, or the classes cannot be inferred from the values.
    """
    histograms = mask_histograms(paths, skip_unreadable=skip_unreadable)
    coding, notes = coding_of_histograms(histograms)
    if not test_paths or (coding.num_classes > 2 and not coding.indexed):
        return coding, notes
    # An unreadable mask of the test split is an error where its pixels are needed.
    more = mask_histograms(test_paths, skip_unreadable=True)
    if coding.indexed and (by_colour := for_test_palettes(coding, histograms, more)) is not None:
        return by_colour[0], by_colour[1] + tuple(_as_expected(histograms, coding))
    if coding.num_classes > 2:
        return coding, notes
    try:
        wider, wider_notes = coding_of_histograms([*histograms, *more])
    except DataError:
        if coding.kind in ("threshold", "binary"):
            # The threshold would read any value, also a wrong one.
            raise
        return coding, notes
    same_classes = wider.num_classes == 2 and wider.kind in ("values", "threshold", "binary")
    if same_classes and set(coding.values) <= {*wider.values, 255}:
        return wider, wider_notes
    return coding, notes


def coding_of_histograms(histograms: Sequence[MaskHistogram]) -> tuple[MaskCoding, tuple[str, ...]]:
    """Return the coding of masks with such histograms; see `infer_mask_coding`."""
    if not histograms:
        raise DataError(
            "There is no mask from which the classes could be inferred. Add masks, or list the classes in "
            "dataset.yaml.",
            code="LEX-DATA-044",
        )
    stored = histograms
    indexed, histograms = agree_on_palette(histograms)
    histograms = settle_depths(histograms)
    assumptions = [BY_INDEX] if indexed else []
    if any(histogram.is_colour for histogram in histograms):
        refuse_grey_among_colours(stored)
        coding, more = _colour_coding(histograms)
    else:
        coding, more = grey_coding(histograms)
    coding = MaskCoding(kind=coding.kind, values=coding.values, labels=coding.labels, indexed=indexed)
    return coding, tuple(assumptions + more + _as_shown(histograms) + _as_expected(histograms, coding))


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
    if not 2 <= len(names) < UNKNOWN_LABEL:
        raise DataError(
            f"dataset.yaml, classes: expected 2 to {UNKNOWN_LABEL - 1} class names, got {len(names)}: "
            f"{names}.",
            code="LEX-DATA-046",
        )
    indexed = agree_on_palette(histograms)[0] if kind == "values" else False
    if kind == "values" and not indexed and any(_is_noisy(histogram, by_value) for histogram in histograms):
        kind = "nearest"
    labels = tuple(names.index(name) for name in by_value.values())
    return MaskCoding(kind=kind, values=tuple(by_value), labels=labels, indexed=indexed), tuple(names)


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
                + (
                    "JPEG changes colours"
                    if histogram.is_lossy
                    else f"{max(len(found), histogram.num_values)} different ones"
                )
                + "). Save masks as PNG with one colour per class, black for the background.",
                code="LEX-DATA-047",
            )
    _refuse_mixed_colours(histograms)
    if 0 not in found:
        shown = ", ".join(colour_name(colour) for colour in sorted(found))
        raise DataError(
            f"The masks (such as {histograms[0].path}) hold the colours {shown}, but no black for the "
            "background. List the classes in dataset.yaml, as `classes: {'#000000': background, '#ff0000': "
            "lesion}`.",
            code="LEX-DATA-048",
        )
    values = tuple(sorted(found))
    shown = ", ".join(
        f"{colour_name(colour)} is class {label}" for label, colour in enumerate(values) if label
    )
    return (
        MaskCoding(kind="colours", values=values, labels=tuple(range(len(values)))),
        [f"Masks are colours: black is the background, {shown}."],
    )


def _refuse_mixed_colours(histograms: Sequence[MaskHistogram]) -> None:
    """Refuse colours that only stand between others, as in a resized mask."""
    solid = set().union(*(histogram.solid for histogram in histograms))
    mixed = {colour: h for h in histograms if h.is_colour for colour in h.counts if colour not in solid}
    if len(mixed) >= 3:
        path = next(iter(mixed.values())).path
        raise DataError(
            f"{path} is a colour mask with {len(mixed)} colours that form no region, such as "
            f"{colour_name(min(mixed))}: it was resized or compressed. Save masks as PNG, and resize them "
            "with nearest neighbour.",
            code="LEX-DATA-656",
        )


def _is_noisy(histogram: MaskHistogram, listed: Mapping[int, str]) -> bool:
    """Return whether a mask holds values beside the listed ones that compression or resizing made."""
    if histogram.bits < 8 and set(histogram.counts) <= set(listed):
        return False  # its numbers are labels
    histogram = as_shades(histogram)
    others = set(histogram.counts) - set(listed)
    return histogram.is_lossy or (len(others) >= 3 and not others & histogram.solid)


def _as_shown(histograms: Sequence[MaskHistogram]) -> list[str]:
    """Return a note on masks that viewers show inverted."""
    inverted = [histogram for histogram in histograms if histogram.is_inverted]
    if not inverted:
        return []
    return [
        f"TIFFs of the kind WhiteIsZero: {counted(len(inverted), 'mask')}, such as {inverted[0].path.name}. "
        "The stored numbers are read, and viewers show them inverted. If the lesion is what viewers show as "
        "white, save these masks as PNG."
    ]


def _as_expected(histograms: Sequence[MaskHistogram], coding: MaskCoding) -> list[str]:
    """Return a note on binary masks whose lesion is larger than the background."""
    if coding.num_classes != 2 or len(histograms) < _FEW or coding.kind == "colours":
        return []
    shares = [lesion_share(histogram, coding) for histogram in histograms if not histogram.is_colour]
    large = sum(share > 0.5 for share in shares)
    if large < 0.9 * len(shares):
        return []
    return [
        f"The lesion covers more than half of the picture in {large} of {counted(len(shares), 'mask')}. If "
        "the lesion is 0 in these files, invert the files; `lexiseg data check` lists them."
    ]


def lesion_share(histogram: MaskHistogram, coding: MaskCoding) -> float:
    """Return the share of pixels with a label above 0, 0..1; unknown values count as background."""
    values = np.array([list(histogram.counts)], dtype=np.uint32)
    if values.max() < 256:
        values = values.astype(np.uint8)
    pixels = MaskPixels(
        values=values,
        is_colour=histogram.is_colour,
        palette=histogram.palette,
        is_lossy=histogram.is_lossy,
        bits=histogram.bits,
    )
    try:
        labels = coding.to_labels(pixels)[0]
    except ValueError:
        return 0.0
    counts = np.array(list(histogram.counts.values()))
    return float(counts[labels > 0].sum() / counts.sum())
