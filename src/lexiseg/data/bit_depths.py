"""Grey masks of 1, 2 and 4 bits per pixel: their numbers are labels, or shades from black to white.

A tool that makes PNG files smaller writes a mask of 0 and 255 with 1 bit, and one of 0, 85, 170 and 255 with
2 bits. Labels 0 to 15 fit into 4 bits too. The file does not tell which of the two it holds; the other masks,
or the stated classes, do. Values whose shades look like a white lesion with soft edges are no labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from typing import NoReturn

from lexiseg.data.decoding.mask_pixels import white_step
from lexiseg.data.mask_histograms import MaskHistogram
from lexiseg.data.mask_noise import looks_like, total_counts
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: Values that stand for the lesion in masks of two classes, with 1, 8 and 16 bits.
LESION_VALUES = frozenset({1, 255, 65535})

#: Where the lesion is white, the largest shade of smoothed masks is not below this.
_LEAST_WHITE = 192


def settle_depths(histograms: Sequence[MaskHistogram]) -> list[MaskHistogram]:
    """Return the histograms with the values that masks of few bits stand for, judged by the other masks.

    Args:
        histograms: Histograms of all masks, palettes resolved.

    Raises:
        DataError: It is open what the numbers of a mask stand for.
    """
    few = [histogram for histogram in histograms if histogram.bits < 8]
    others = [histogram for histogram in histograms if histogram.bits == 8]
    if not few or any(histogram.is_colour for histogram in others):
        # Among colours, grey values are colours too.
        return [as_shades(histogram) for histogram in histograms]
    lossy = any(histogram.is_lossy for histogram in others)
    known = _foreground(others)
    if known and not lossy:
        solid = set().union(*(histogram.solid for histogram in others)) - {0}
        # Values of noise say nothing about labels.
        classes = known if looks_like(others) == "classes" else solid
        soft = _soft_depths(few)
        return [
            as_shades(histogram)
            if histogram.bits in soft and not _foreground([histogram]) <= classes
            else _fitted(histogram, known, solid)
            for histogram in histograms
        ]
    if known:
        # Masks around 0 and 255, with noise: only 0 and 1 are labels.
        return [h if h.bits > 1 and max(h.counts) == 1 else as_shades(h) for h in histograms]
    return _among_themselves(histograms, few)


def _among_themselves(
    histograms: Sequence[MaskHistogram], few: Sequence[MaskHistogram]
) -> list[MaskHistogram]:
    """Settle the depths where all masks that hold anything have few bits: those of most bits decide."""
    bits = max(histogram.bits for histogram in few if _foreground([histogram])) if _foreground(few) else 8
    deepest = [histogram for histogram in few if histogram.bits == bits]
    numbers = _foreground(deepest)
    shades = {number * white_step(bits) for number in numbers}
    are_shades = numbers <= {2**bits - 1} or bits in _soft_depths(deepest)
    known = shades if are_shades else numbers
    settled = []
    for histogram in histograms:
        if histogram.bits == bits:
            settled.append(as_shades(histogram) if are_shades else _as_numbers(histogram))
            continue
        found = _fitted(histogram, known, known)
        white = _foreground([as_shades(histogram)])
        if histogram.bits < 8 and not are_shades and white and white <= shades:
            # The numbers fit the numbers, and the shades fit the shades: they must mean the same.
            order, as_shown = sorted(numbers), sorted(shades)
            if [order.index(v) for v in sorted(_foreground([found]))] != [
                as_shown.index(v) for v in sorted(white)
            ]:
                _refuse(histogram, numbers)
        settled.append(found)
    return settled


def _soft_depths(few: Sequence[MaskHistogram]) -> set[int]:
    """Return the depths whose masks, as shades, hold white and values that stand at edges only.

    Only white forms a region then: a region of another value is one of a label.
    """
    soft = set()
    for bits in {histogram.bits for histogram in few}:
        shades = [as_shades(histogram) for histogram in few if histogram.bits == bits]
        is_label = any(0 < value < _LEAST_WHITE for histogram in shades for value in histogram.solid)
        if max(total_counts(shades)) >= _LEAST_WHITE and looks_like(shades) != "classes" and not is_label:
            soft.add(bits)
    return soft


def _fitted(histogram: MaskHistogram, known: Set[int], solid: Set[int]) -> MaskHistogram:
    """Return a histogram with the numbers or the shades of a mask of few bits, whichever fit the other masks.

    Raises:
        DataError: Both fit, or none.
    """
    numbers = _foreground([histogram])
    if histogram.bits == 8 or not numbers:
        return histogram
    shades = {number * white_step(histogram.bits) for number in numbers}
    if known <= LESION_VALUES:
        # All of these stand for the lesion, in files of different depths.
        if numbers <= LESION_VALUES and shades <= LESION_VALUES:
            return (
                _as_numbers(histogram) if numbers <= known and not shades <= known else as_shades(histogram)
            )
        known = LESION_VALUES
    for values in (known, solid):
        fit = _better(numbers, shades, values)
        if fit is not None:
            return _as_numbers(histogram) if fit is numbers else as_shades(histogram)
    _refuse(histogram, known)


def _better(numbers: Set[int], shades: Set[int], known: Set[int]) -> Set[int] | None:
    """Return which values are among the known ones, or else share some with them; None where it is open."""
    if (numbers <= known) != (shades <= known):
        return numbers if numbers <= known else shades
    if numbers <= known or bool(numbers & known) == bool(shades & known):
        return None
    return numbers if numbers & known else shades


def _as_numbers(histogram: MaskHistogram) -> MaskHistogram:
    return dataclasses.replace(histogram, bits=8)


def as_shades(histogram: MaskHistogram) -> MaskHistogram:
    """Return a histogram of grey values as viewers show them; one of 8 bits or more stays."""
    if histogram.bits == 8:
        return histogram
    step = white_step(histogram.bits)
    return dataclasses.replace(
        histogram,
        counts={value * step: count for value, count in histogram.counts.items()},
        solid=frozenset(value * step for value in histogram.solid),
        bits=8,
    )


def _foreground(histograms: Sequence[MaskHistogram]) -> set[int]:
    return {value for histogram in histograms for value in histogram.counts if value}


def _refuse(histogram: MaskHistogram, known: Set[int]) -> NoReturn:
    numbers = sorted(_foreground([histogram]))
    step = white_step(histogram.bits)
    raise DataError(
        f"{histogram.path} is a mask of {counted(histogram.bits, 'bit')} per pixel. Its numbers "
        f"{_some(numbers)} may be labels, or the shades of grey "
        f"{_some([number * step for number in numbers])}; the values of the other masks, "
        f"{_some(sorted(known))}, do not decide it. Save it with 8 bits per pixel and the values of the "
        "other masks, or list the classes in dataset.yaml under `classes`.",
        code="LEX-DATA-1891",
    )


def _some(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:8])) + (", ..." if values[8:] else "")
