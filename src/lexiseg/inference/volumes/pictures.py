"""Pictures of slices of a volume as a radiologist sees them, with their places and their directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lexiseg.clinic.orientation import Directions, opposite
from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS
from lexiseg.clinic.volume_geometry import PlaneName
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.inference.explanation.overlay import draw_overlay

#: Shortest and longest size of the longer side of a picture, in pixels, without its text.
SHORTEST, LONGEST = 512, 2048

# Height of a line of text, and of the strip that it stands on, as shares of the width of a picture.
_TEXT_SHARE, _LETTER_WIDTH, _STRIP = 1 / 26, 0.55, 1.6


def place_of(plane: PlaneName, number: int, count: int, *, axis: int, lesion: bool) -> str:
    """Return what a picture says of its slice, such as "Axial slice 7 of 40 (k): largest area of lesions".

    Args:
        plane: The plane of the body that is nearest to the slice.
        number: Number of the slice, from 1.
        count: Number of slices.
        axis: The voxel axis along which slices are counted.
        lesion: Whether the volume holds any lesion.
    """
    named = "Slice" if plane == "unknown" else f"{plane.capitalize()} slice"
    why = "largest area of lesions" if lesion else "no lesion found, the middle slice"
    return f"{named} {number} of {count} ({'ijk'[axis]}): {why}"


def slice_picture(image: DecodedImage, labels: npt.NDArray[np.uint8], place: str) -> Image.Image:
    """Draw the outline of labels on a slice, in the usual display and with the proportions of the body.

    Above it stands its place, below it what the picture is not for, and at its sides the directions of the
    body: R and L, A and P, H and F.

    Args:
        image: The slice, on its own grid.
        labels: `(H, W)` on the same grid.
        place: What is said of the slice.
    """
    return between_lines(drawn_slice(image, labels), place, NOT_FOR_DIAGNOSIS)


def drawn_slice(image: DecodedImage, labels: npt.NDArray[np.uint8], side: int | None = None) -> Image.Image:
    """Draw what `slice_picture` draws, without the lines of text above and below.

    Args:
        image: The slice, on its own grid.
        labels: `(H, W)` on the same grid.
        side: The longer side in pixels; None for that of the slice, from `SHORTEST` to `LONGEST`.
    """
    assert image.facts is not None
    turn, spacing = image.facts.turn, image.facts.spacing.body_mm
    pixels, shown = image.displayed, turn.apply(labels)
    if spacing is not None:
        height, width = (spacing[1], spacing[0]) if turn.transpose else spacing
        pixels, shown = _in_proportion(pixels, shown, height / width)
    longest = side or min(LONGEST, max(SHORTEST, *shown.shape))
    drawn = draw_overlay(pixels, shown, longest_side=longest)
    _write_directions(drawn, turn.directions(image.facts.directions))
    return drawn


def _in_proportion(
    pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], ratio: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Stretch a picture whose pixels are not square, so that it has the proportions of the body.

    Args:
        pixels: `(H, W, 3)`.
        labels: `(H, W)`.
        ratio: Height of a pixel divided by its width.
    """
    rows, columns = labels.shape
    size = (columns * max(1, 1 / ratio), rows * max(1, ratio))
    scale = min(1.0, LONGEST / max(size))
    wanted = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    if wanted == (columns, rows):
        return pixels, labels
    stretched = Image.fromarray(pixels).resize(wanted, Image.Resampling.BICUBIC)
    nearest = Image.fromarray(labels).resize(wanted, Image.Resampling.NEAREST)
    return np.asarray(stretched), np.asarray(nearest)


def _write_directions(picture: Image.Image, directions: Directions | None) -> None:
    """Write the directions of the body at the four sides of a picture, where they are known."""
    if directions is None:
        return
    pen, size = ImageDraw.Draw(picture), max(10, round(picture.width * _TEXT_SHARE))
    width, height = picture.size
    row, column = directions.row, directions.column
    for letter, x, y, anchor in (
        (opposite(row), size // 2, height // 2, "lm"),
        (row, width - size // 2, height // 2, "rm"),
        (opposite(column), width // 2, size // 2, "mt"),
        (column, width // 2, height - size // 2, "mb"),
    ):
        pen.text(
            (x, y), letter, fill="white", font_size=size, anchor=anchor, stroke_width=2, stroke_fill="black"
        )


def between_lines(
    picture: Image.Image, above: str, below: str = "", *, least: int = SHORTEST, text_px: float | None = None
) -> Image.Image:
    """Return a picture with a line of text above it and one below it, each on a black strip.

    Args:
        picture: The picture.
        above: The line above it.
        below: The line below it; no strip without one.
        least: Least width in pixels; a narrower picture lies in the middle.
        text_px: Height of the text in pixels where it fits; None for a share of the width.
    """
    width = max(picture.width, least)
    # Both lines fit: a letter is about half as wide as it is high.
    fitting = width / (_LETTER_WIDTH * max(len(above), len(below)))
    size = int(min(text_px or width * _TEXT_SHARE, fitting))
    strip = round(size * _STRIP)
    whole = Image.new("RGB", (width, picture.height + strip * (2 if below else 1)))
    whole.paste(picture, ((width - picture.width) // 2, strip))
    pen = ImageDraw.Draw(whole)
    for line, y in ((above, strip / 2), (below, whole.height - strip / 2)):
        pen.text((whole.width / 2, y), line, fill="white", font_size=size, anchor="mm")
    return whole
