"""Detection of text that is burned into an image: lines of small, equally bright, equally high shapes.

It is a warning, not a proof: letters on a bright background, handwriting, and text that is turned may stay
unseen, and a scale or a grid of wires may look like text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

#: Heights of letters that are looked for, in pixels.
_LOWEST, _HIGHEST = 6, 60
#: Letters in one line that are taken for text.
_LEAST_LETTERS = 4
#: Grey levels by which the strokes of a letter are brighter, or darker, than what surrounds them. With the
#: higher ones, letters whose soft edges touch each other are told apart.
_CONTRASTS = (60.0, 120.0, 180.0)
#: Widest stroke of a letter, in pixels: a shape without room for one is no stroke.
_WIDEST_STROKE = 9
#: Largest spread (standard deviation) of the grey level of the letters of one line.
_LARGEST_SPREAD = 12.0
#: Share of the strokes around a line that its letters must make.
_LEAST_SHARE_OF_STROKES = 0.65
_MOST_SHAPES = 20_000
#: Images whose sides are not longer, in pixels, are also looked at enlarged: their letters may be lower than
#: `_LOWEST`, as in pictures of ultrasound.
_SMALL_SIDE, _ENLARGED = 400, 2


@dataclass(frozen=True, kw_only=True)
class TextRegion:
    """A line that looks like text.

    Attributes:
        rows: Its first row, and the row after its last.
        columns: Its first column, and the column after its last.
        letters: Number of its letters.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    letters: int


@dataclass(frozen=True)
class _Letter:
    top: int
    bottom: int
    left: int
    right: int
    pixels: int
    level: float

    @property
    def height(self) -> int:
        return self.bottom - self.top


def text_regions(image: npt.NDArray[np.uint8]) -> tuple[TextRegion, ...]:
    """Return the lines of an image that look like text, from top to bottom.

    Args:
        image: `(H, W, 3)` or `(H, W)` uint8.
    """
    # The brightest channel: coloured letters on black are as bright there as white ones.
    grey = image.reshape(*image.shape[:2], -1).max(axis=2)
    regions = _regions(grey.astype(np.float32))
    if max(grey.shape) <= _SMALL_SIDE:
        size = (_ENLARGED * grey.shape[1], _ENLARGED * grey.shape[0])
        larger = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)
        regions += [_reduced(region) for region in _regions(np.asarray(larger, dtype=np.float32))]
    found: list[TextRegion] = []
    for region in sorted(regions, key=lambda one: -one.letters):
        if not any(_overlap(region, other) for other in found):
            found.append(region)
    return tuple(sorted(found, key=lambda region: (region.rows, region.columns)))


def _regions(grey: npt.NDArray[np.float32]) -> list[TextRegion]:
    """Return the lines of a grey image that look like text; a line may come several times."""
    regions: list[TextRegion] = []
    for level in (grey, 255.0 - grey):
        strokes = level - ndimage.grey_opening(level, size=_WIDEST_STROKE)
        for contrast in _CONTRASTS:
            shapes = strokes > contrast
            regions += [
                _region(line) for line in _lines(_letters(level, shapes)) if _stands_alone(line, shapes)
            ]
    return regions


def _reduced(region: TextRegion) -> TextRegion:
    """Return where a line of an enlarged image is in the image itself."""
    (top, bottom), (left, right) = region.rows, region.columns
    return TextRegion(
        rows=(top // _ENLARGED, -(-bottom // _ENLARGED)),
        columns=(left // _ENLARGED, -(-right // _ENLARGED)),
        letters=region.letters,
    )


def _overlap(one: TextRegion, other: TextRegion) -> bool:
    return (
        one.rows[0] < other.rows[1]
        and other.rows[0] < one.rows[1]
        and one.columns[0] < other.columns[1]
        and other.columns[0] < one.columns[1]
    )


def _letters(grey: npt.NDArray[np.float32], strokes: npt.NDArray[np.bool_]) -> list[_Letter]:
    """Return shapes of thin strokes of the size of letters."""
    shapes, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    if count == 0 or count > _MOST_SHAPES:
        return []
    found = []
    boxes = ndimage.find_objects(shapes)
    for number, box in enumerate(boxes, start=1):
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (_LOWEST <= height <= _HIGHEST and width <= 1.5 * height):
            continue
        inside = shapes[box] == number
        share = float(inside.mean())
        # A letter fills some of its box; only one as narrow as I or l fills all of it.
        if share < 0.15 or (share > 0.85 and width > 0.5 * height):
            continue
        bright = float(np.percentile(grey[box][inside], 75))
        found.append(_Letter(rows.start, rows.stop, columns.start, columns.stop, int(inside.sum()), bright))
    return found


def _lines(letters: list[_Letter]) -> list[list[_Letter]]:
    """Group letters that stand side by side, equally high and equally bright."""
    lines: list[list[_Letter]] = []
    for letter in sorted(letters, key=lambda one: one.left):
        for line in lines:
            if _continues(line[-1], letter):
                line.append(letter)
                break
        else:
            lines.append([letter])
    return [line for line in lines if _is_text(line)]


def _continues(last: _Letter, letter: _Letter) -> bool:
    higher, lower = max(last.height, letter.height), min(last.height, letter.height)
    overlap = min(last.bottom, letter.bottom) - max(last.top, letter.top)
    gap = letter.left - last.right
    return higher <= 1.7 * lower and overlap >= 0.6 * lower and -1 <= gap <= 1.2 * higher


def _is_text(line: list[_Letter]) -> bool:
    if len(line) < _LEAST_LETTERS:
        return False
    # Letters stand on one line or, such as p and g, a little below it; tissue does not.
    bottoms = np.array([letter.bottom for letter in line])
    height = float(np.median([letter.height for letter in line]))
    on_line = np.abs(bottoms - np.median(bottoms)) <= max(1.0, 0.12 * height)
    spread = float(np.std([letter.level for letter in line]))
    return float(on_line.mean()) >= 0.6 and spread <= _LARGEST_SPREAD


def _stands_alone(line: list[_Letter], shapes: npt.NDArray[np.bool_]) -> bool:
    """Return whether most strokes around a line are its letters; in noise and texture they are not."""
    region = _region(line)
    margin = (region.rows[1] - region.rows[0]) // 4
    around = shapes[
        max(0, region.rows[0] - margin) : region.rows[1] + margin, region.columns[0] : region.columns[1]
    ]
    return sum(letter.pixels for letter in line) >= _LEAST_SHARE_OF_STROKES * int(around.sum())


def _region(line: list[_Letter]) -> TextRegion:
    return TextRegion(
        rows=(min(letter.top for letter in line), max(letter.bottom for letter in line)),
        columns=(min(letter.left for letter in line), max(letter.right for letter in line)),
        letters=len(line),
    )
