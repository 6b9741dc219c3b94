"""Contours on an image: what was predicted, and what is true where that is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw
from skimage.measure import find_contours

from lexiseg.errors import UsageError

#: Colour of the predicted contour, a solid line (Okabe-Ito orange).
PREDICTED_COLOUR = "#E69F00"
#: Colour of the true contour, a dashed line on top of it (Okabe-Ito sky blue).
TRUTH_COLOUR = "#56B4E9"

# Of the heat: Okabe-Ito sky blue at its fullest, on an image dimmed to this share of its brightness.
_HEAT_COLOUR, _HEAT_WEIGHT, _DIMMED = "#56B4E9", 0.85, 0.55
_OUTLINE = "#000000"
# Up to this many pixels a side, lines are drawn at twice the size and shrunk, which smooths them.
_SMOOTH_UP_TO = 1200
_LINE_SHARE = 1 / 170
_DASH_SHARE = 1 / 45


def draw_overlay(
    image: npt.NDArray[np.uint8],
    predicted: npt.NDArray[np.integer],
    truth: npt.NDArray[np.integer] | None = None,
    *,
    longest_side: int | None = None,
) -> Image.Image:
    """Draw the outlines of label maps on an image.

    The two lines differ in colour and in style (prediction solid, truth dashed on top), so they can be told
    apart without colours, and where they coincide both are seen.

    Args:
        image: `(H, W, 3)` uint8.
        predicted: `(H, W)` labels, 0 is background; every class gets its outline.
        truth: `(H, W)` true labels, where known.
        longest_side: Size of the picture's longest side in pixels; by default that of the image.

    Returns:
        An RGB picture with the image's aspect ratio.

    Raises:
        UsageError: The grids differ.
    """
    for labels in (predicted, truth):
        if labels is not None and labels.shape != image.shape[:2]:
            raise UsageError(
                f"A mask of {labels.shape} cannot be drawn on an image of {image.shape[:2]}.",
                code="LEX-USE-044",
            )
    rows, columns = image.shape[:2]
    target = longest_side or max(rows, columns)
    smooth = 2 if target <= _SMOOTH_UP_TO else 1
    scale = smooth * target / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    canvas = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    # Odd, so that the line lies evenly on both sides of the boundary.
    width = max(3, round(smooth * target * _LINE_SHARE)) | 1
    dash = max(4.0, smooth * target * _DASH_SHARE)
    for line in _outlines(predicted, scale):
        _stroke(pen, [line], PREDICTED_COLOUR, width)
    if truth is not None:
        for line in _outlines(truth, scale):
            _stroke(pen, _dashes(line, dash), TRUTH_COLOUR, width)
    final = (max(1, size[0] // smooth), max(1, size[1] // smooth))
    return canvas if smooth == 1 else canvas.resize(final, Image.Resampling.BOX)


def draw_heat(
    image: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.floating],
    mask: npt.NDArray[np.integer],
    *,
    longest_side: int | None = None,
) -> Image.Image:
    """Draw where something acts as light on a dimmed, grey image, with the outline of the mask.

    One hue of rising brightness, so that it reads the same without colours.

    Args:
        image: `(H, W, 3)` uint8.
        heat: `(h, w)` in 0..1 on any grid over the whole image.
        mask: `(H, W)` labels whose outline is drawn.
        longest_side: Size of the picture's longest side in pixels; by default that of the image.
    """
    rows, columns = image.shape[:2]
    coarse = Image.fromarray(np.round(255 * heat).astype(np.uint8))
    share = np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    grey = _DIMMED * np.asarray(Image.fromarray(image).convert("L"), dtype=np.float32)
    light = np.array(ImageColor.getrgb(_HEAT_COLOUR), dtype=np.float32)
    weight = _HEAT_WEIGHT * share[..., None]
    lit = (1 - weight) * grey[..., None] + weight * light
    return draw_overlay(np.round(lit).astype(np.uint8), mask, longest_side=longest_side)


def _outlines(labels: npt.NDArray[np.integer], scale: float) -> list[npt.NDArray[np.float64]]:
    """Return closed `(N, 2)` lines of (x, y) on the canvas, around every class."""
    lines = []
    for label in range(1, int(labels.max(initial=0)) + 1):
        # The margin closes the outline of a lesion that touches the border.
        inside = np.pad((labels == label).astype(np.float32), 1)
        for contour in find_contours(inside, 0.5):  # type: ignore[no-untyped-call]
            # Pixel i of the mask covers i..i + 1 of its grid, and pixel j of the canvas is drawn at j.
            lines.append((contour[:, ::-1] - 0.5) * scale - 0.5)
    return lines


def _dashes(line: npt.NDArray[np.float64], length: float) -> list[npt.NDArray[np.float64]]:
    """Cut a line into dashes of about `length` pixels, with gaps of the same length."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    pieces = 2 * max(1, round(along[-1] / (2 * length)))
    ends = np.linspace(0.0, along[-1], pieces + 1)
    dashes = []
    for start, stop in zip(ends[0:-1:2], ends[1::2], strict=True):
        steps = np.linspace(start, stop, max(2, int(stop - start) + 1))
        dashes.append(np.stack([np.interp(steps, along, line[:, axis]) for axis in (0, 1)], axis=1))
    return dashes


def _stroke(pen: ImageDraw.ImageDraw, lines: list[npt.NDArray[np.float64]], colour: str, width: int) -> None:
    """Draw lines with a thin dark rim, which keeps them visible on bright and on dark ground."""
    rim = 2 * max(1, round(width / 6))
    for fill, wide in ((_OUTLINE, width + rim), (colour, width)):
        for line in lines:
            pen.line([(float(x), float(y)) for x, y in line], fill=fill, width=wide, joint="curve")
