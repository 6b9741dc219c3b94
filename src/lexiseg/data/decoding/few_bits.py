"""Grey masks of 1, 2 and 4 bits per pixel with known classes: read by their numbers, or their shades."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lexiseg.data.decoding.mask_pixels import MaskPixels, white_step
from lexiseg.errors import DataError
from lexiseg.printable import counted


class UnclearDepthError(ValueError):
    """The numbers of a mask of few bits have a class both as labels and as shades."""


def as_listed(pixels: MaskPixels, label_of: Mapping[int, int]) -> MaskPixels:
    """Return a mask of few bits with the values that have a class: its numbers, or its shades.

    Args:
        pixels: A grey mask. One of 8 bits or more is returned as it is.
        label_of: The label of each value that has a class.

    Raises:
        UnclearDepthError: Both have a class, and not the same one.
    """
    if pixels.bits == 8:
        return pixels
    numbers = [int(value) for value in np.unique(pixels.values)]
    step = white_step(pixels.bits)
    shades = [number * step for number in numbers]
    are_listed = all(number in label_of for number in numbers)
    if not are_listed or any(shade not in label_of for shade in shades):
        # Where neither has a class, the error of the reader shows the values.
        as_numbers = are_listed or (pixels.bits > 1 and any(shade not in label_of for shade in shades))
        return dataclasses.replace(pixels, bits=8) if as_numbers else pixels.shades()
    if [label_of[number] for number in numbers] != [label_of[shade] for shade in shades]:
        raise UnclearDepthError(
            f"it has {counted(pixels.bits, 'bit')} per pixel, and both its numbers "
            f"({', '.join(map(str, numbers))}) and its shades of grey ({', '.join(map(str, shades))}) have a "
            "class"
        )
    return pixels.shades()


def for_nearest(pixels: MaskPixels, label_of: Mapping[int, int]) -> MaskPixels:
    """Return a mask of few bits for a reader that takes the nearest value: its shades, or its numbers.

    Smoothed masks hold numbers without a class, and only their shades are near to one. Numbers are read where
    all of them have a class, or where all classes are numbers of so few bits.

    Args:
        pixels: A grey mask. One of 8 bits or more is returned as it is.
        label_of: The label of each value that has a class.

    Raises:
        UnclearDepthError: Some of its numbers have a class, and others have none.
    """
    if pixels.bits == 8:
        return pixels
    if max(label_of) < 1 << pixels.bits:
        return dataclasses.replace(pixels, bits=8)
    numbers = [int(value) for value in np.unique(pixels.values)]
    step = white_step(pixels.bits)
    if all(number in label_of for number in numbers) or all(number * step in label_of for number in numbers):
        return as_listed(pixels, label_of)
    listed = [number for number in numbers if number and number in label_of]
    if listed:
        raise UnclearDepthError(
            f"it has {counted(pixels.bits, 'bit')} per pixel, and some of its numbers "
            f"({', '.join(map(str, listed))}) have a class, while others have none"
        )
    return pixels.shades()


def unclear(path: Path, error: UnclearDepthError) -> DataError:
    """Return the error of a mask of few bits that cannot be read with the classes of its data set."""
    return DataError(
        f"{path} cannot be read: {error}. Save it with 8 bits per pixel and the values of the other masks.",
        code="LEX-DATA-1895",
    )
