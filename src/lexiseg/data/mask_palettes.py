"""Masks with a palette: whether they are read by palette index, or by the colours that they show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from lexiseg.data.mask_coding import MaskCoding, colour_name
from lexiseg.data.mask_histograms import MaskHistogram
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors
from lexiseg.printable import counted

_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16"})

#: The note of a coding by palette index.
BY_INDEX = "Masks with a palette are read by palette index."


def agree_on_palette(histograms: Sequence[MaskHistogram]) -> tuple[bool, Sequence[MaskHistogram]]:
    """Return whether palette files are read by index, and the histograms in the resulting values.

    Indices are classes if every file has the same palette with black (the background) first. Image editors
    make a new palette for each file, which numbers the colours differently each time; then the colours are
    used.
    """
    palettes = [histogram for histogram in histograms if histogram.palette is not None]
    if not palettes:
        return False, histograms
    heads = _heads(palettes)
    if len(palettes) == len(histograms) and len(heads) == 1 and next(iter(heads))[0] == 0:
        return True, histograms
    return False, [_resolved(histogram) for histogram in histograms]


def refuse_grey_among_colours(histograms: Sequence[MaskHistogram]) -> None:
    """Refuse a grey mask among coloured ones whose value no coloured mask shows: it may be any class.

    Args:
        histograms: The masks as they are stored; some of them show colours.

    Raises:
        DataError: There is such a mask.
    """
    drawn = {colour for histogram in histograms for colour in _colours(histogram)}
    for histogram in histograms:
        own = [value for value in histogram.counts if value and value * 0x010101 not in drawn]
        if own and histogram.palette is None and not histogram.is_colour and _is_stored_grey(histogram.path):
            raise DataError(
                f"{histogram.path} is a grey mask with the value {own[0]}, while other masks show colours: "
                f"{own[0]} may be the colour {colour_name(own[0] * 0x010101)} or the number of a class. Save "
                "all masks in the same way, or list the colours in dataset.yaml under `classes`.",
                code="LEX-DATA-2013",
            )


def _is_stored_grey(path: Path) -> bool:
    """Return whether a picture is stored without colours, not in colours that happen to be grey."""
    try:
        with open_errors(path), Image.open(path) as image:
            return image.mode in _GREY_MODES
    except (OSError, ValueError):
        return False  # Another kind of file; it was read already.


def for_test_palettes(
    coding: MaskCoding, histograms: Sequence[MaskHistogram], tested: Sequence[MaskHistogram]
) -> tuple[MaskCoding, tuple[str, ...]] | None:
    """Return a coding by colour, with the same labels, where masks of the test split need one.

    The palette index of a test mask with another palette stands for another colour. So each label belongs to
    the colour that it has in the masks that decide what the classes are. Test masks without palette and
    colour are read by their values, as palette indices are.

    Args:
        coding: The coding by palette index.
        histograms: Histograms of the masks that decide what the classes are; all have the same palette.
        tested: Histograms of the masks of the test split.

    Returns:
        The coding and its notes; None where the test masks have the same palette, or none.

    Raises:
        DataError: A test mask has another palette, and the colours do not tell the labels apart; or a grey
            value of another test mask is the colour of another class.
    """
    other = _with_other_palette(histograms, tested)
    if other is None:
        return None
    palette = histograms[0].palette
    assert palette is not None
    used = {0}.union(*(histogram.counts for histogram in histograms))
    label_of: dict[int, int] = {}
    for index, label in zip(coding.values, coding.labels, strict=True):
        if index in used and label_of.setdefault(palette[index], label) != label:
            raise _not_told_apart(other, histograms[0], f"{colour_name(palette[index])} is several classes")
    if coding.kind != "values":
        raise _not_told_apart(other, histograms[0], "the palette indices look like those of a picture")
    note = f"Masks with a palette are read by its colours: {other.path.name} has another palette than others."
    if set(label_of.values()) == {0}:
        # The masks that decide are all empty: no colour is known, so grey values are read as in other masks.
        return dataclasses.replace(coding, indexed=False), (note,)
    shown = ", ".join(
        f"{colour_name(colour)} is class {label}" for colour, label in label_of.items() if label
    )
    label_of_grey, grey_note = _labels_of_grey(coding, label_of, tested, other)
    known = {**label_of, **label_of_grey}
    return (
        MaskCoding(kind="colours", values=tuple(known), labels=tuple(known.values())),
        (note, f"Masks are colours: black is the background, {shown}.", *grey_note),
    )


def _labels_of_grey(
    coding: MaskCoding, label_of: Mapping[int, int], tested: Sequence[MaskHistogram], other: MaskHistogram
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return the labels of grey values of test masks without palette, by packed colour, and a note on them.

    A grey value that is no palette index counts as a colour. A coding by colours knows a grey value as the
    grey colour, which may be the colour of another label, or in other test masks a colour without label.

    Args:
        coding: The coding by palette index.
        label_of: Label of each colour of the masks that decide what the classes are.
        tested: Histograms of the masks of the test split.
        other: The test mask that has another palette.

    Raises:
        DataError: A grey value has another meaning as a colour.
    """
    by_value = dict(zip(coding.values, coding.labels, strict=True))
    drawn = {colour for histogram in tested for colour in _colours(histogram)}
    found: dict[int, int] = {}
    files: list[str] = []
    for histogram in tested:
        # Compression makes values near 0, which are no labels.
        if histogram.palette is not None or histogram.is_colour or histogram.is_lossy:
            continue
        read = {value: by_value[value] for value in histogram.counts if value and value in by_value}
        for value, label in read.items():
            colour = value * 0x010101
            if label_of.get(colour, label) != label or (colour in drawn and colour not in label_of):
                raise _grey_not_told_apart(histogram, other, value, label)
            found[colour] = label
        files += [histogram.path.name] if read else []
    if not files:
        return found, ()
    return found, (
        "Masks without a palette are read by their values, as palette indices: "
        f"{counted(len(files), 'mask')} of the test split, such as {files[0]}.",
    )


def _colours(histogram: MaskHistogram) -> set[int]:
    """Return the colours that a mask with palette or colours shows; none of a grey mask."""
    if histogram.palette is not None:
        return {histogram.palette[index] for index in histogram.counts}
    return set(histogram.counts) if histogram.is_colour else set()


def _with_other_palette(
    histograms: Sequence[MaskHistogram], tested: Sequence[MaskHistogram]
) -> MaskHistogram | None:
    """Return the first test mask that cannot be read by the palette indices of the others."""
    palettes = [histogram for histogram in tested if histogram.palette is not None]
    length = _length([*histograms, *palettes])
    known = {histogram.palette[:length] for histogram in histograms if histogram.palette is not None}
    for histogram in tested:
        differs = histogram.palette is not None and known != {histogram.palette[:length]}
        if differs or histogram.is_colour:
            return histogram
    return None


def _heads(palettes: Sequence[MaskHistogram]) -> set[tuple[int, ...]]:
    """Return the palettes up to the highest index that a mask uses."""
    length = _length(palettes)
    return {histogram.palette[:length] for histogram in palettes if histogram.palette is not None}


def _length(palettes: Sequence[MaskHistogram]) -> int:
    return 1 + max(max(histogram.counts) for histogram in palettes)


def _not_told_apart(other: MaskHistogram, first: MaskHistogram, reason: str) -> DataError:
    return DataError(
        f"{other.path}, of the test split, has another palette than masks such as {first.path}, and its "
        f"colours do not tell the classes ({reason}). Save all masks with one palette, or as grey labels.",
        code="LEX-DATA-1808",
    )


def _grey_not_told_apart(grey: MaskHistogram, other: MaskHistogram, value: int, label: int) -> DataError:
    return DataError(
        f"{grey.path}, of the test split, has no palette, and {other.path} has another palette than the "
        f"other masks: the grey value {value} is class {label} as a number, but not as the colour "
        f"{colour_name(value * 0x010101)}. Save all masks with one palette, or as grey labels.",
        code="LEX-DATA-1816",
    )


def _resolved(histogram: MaskHistogram) -> MaskHistogram:
    """Return a histogram with palette indices replaced by grey values or colours."""
    if histogram.palette is None:
        return histogram
    counts: dict[int, int] = {}
    for index, count in histogram.counts.items():
        counts[histogram.palette[index]] = counts.get(histogram.palette[index], 0) + count
    solid = {histogram.palette[index] for index in histogram.solid}
    is_colour = any(colour != (colour & 255) * 0x010101 for colour in counts)
    if not is_colour:
        counts = {colour & 255: count for colour, count in counts.items()}
        solid = {colour & 255 for colour in solid}
    return dataclasses.replace(
        histogram, counts=counts, is_colour=is_colour, palette=None, solid=frozenset(solid)
    )
