"""What the figures of the methods share: boxes, arrows, and the compact frame (encoder and decoder)."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

# Okabe-Ito colours, light fills; what belongs to training only is also dashed, so colour is never alone.
IMAGE, WORDS, TEACHER, INK = "#0072B2", "#D55E00", "#555555", "#1a1a1a"
IMAGE_FILL, WORDS_FILL, TEACHER_FILL = "#E3F0F8", "#FCEBDD", "#F4F4F4"

Point = tuple[float, float]

#: Heights of the pyramid's levels, stride 2 to 32.
ROWS = [5.75, 4.85, 3.95, 3.05, 2.15]


def box(
    ax: Axes, centre: Point, size: Point, text: str, *, edge: str, fill: str, dashed: bool = False
) -> None:
    """Draw a rounded box with text in its middle."""
    (x, y), (width, height) = centre, size
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.09",
        edgecolor=edge, facecolor=fill, linewidth=1.6, linestyle=(0, (4, 2)) if dashed else "-", zorder=3,
    )  # fmt: skip
    ax.add_patch(patch)
    ax.text(x, y, text, ha="center", va="center", color=INK, fontsize=9.2, linespacing=1.25, zorder=4)


def arrow(ax: Axes, start: Point, end: Point, *, colour: str = IMAGE, dashed: bool = False) -> None:
    """Draw an arrow."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, linewidth=1.5, color=colour,
            linestyle=(0, (4, 2)) if dashed else "-", shrinkA=0, shrinkB=0, zorder=2,
        )
    )  # fmt: skip


def line(ax: Axes, points: list[Point], *, colour: str) -> None:
    """Draw a line of straight pieces that ends in an arrow head."""
    xs, ys = zip(*points, strict=True)
    ax.plot(xs[:-1], ys[:-1], color=colour, linewidth=1.5, zorder=1, solid_capstyle="butt")
    arrow(ax, points[-2], points[-1], colour=colour)


def note(ax: Axes, at: Point, text: str, *, colour: str = INK, ha: str = "left", size: float = 8.6) -> None:
    """Write a few words beside an arrow."""
    ax.text(*at, text, ha=ha, va="center", color=colour, fontsize=size, linespacing=1.2, zorder=5)


def canvas() -> tuple[Figure, Axes]:
    """Return an empty figure with the axes all methods are drawn on."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "lexiseg"})
    figure, ax = plt.subplots(figsize=(12.6, 6.9))
    ax.set_xlim(0.1, 13.7)
    ax.set_ylim(-0.35, 7.1)
    ax.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    return figure, ax


def legend(ax: Axes) -> None:
    """Say what the colours and dashes mean."""
    entries = (
        (IMAGE, "-", "image path"),
        (WORDS, "-", "the model's own words"),
        (TEACHER, (0, (4, 2)), "teacher: training only, not in the predictor"),
    )
    for x, (colour, dashes, text) in zip((0.5, 3.0, 6.3), entries, strict=True):
        ax.plot([x, x + 0.5], [-0.1, -0.1], color=colour, linewidth=2.2, linestyle=dashes)
        note(ax, (x + 0.62, -0.1), text)


def draw_pyramids(ax: Axes, rows: list[float]) -> None:
    """Draw image, encoder, decoder and mask."""
    box(ax, (1.0, rows[0]), (1.3, 0.9), "image\n(H x W)", edge=IMAGE, fill=IMAGE_FILL)
    note(ax, (2.75, rows[0] + 0.55), "encoder (timm, ImageNet)", colour=IMAGE, ha="center", size=9.4)
    for row, stride in zip(rows, (2, 4, 8, 16, 32), strict=True):
        box(ax, (2.75, row), (1.5, 0.66), f"features\nstride {stride}", edge=IMAGE, fill=IMAGE_FILL)
    arrow(ax, (1.65, rows[0]), (2.0, rows[0]))
    for above, below in pairwise(rows):
        arrow(ax, (2.75, above - 0.33), (2.75, below + 0.33))
    note(ax, (5.2, rows[0] + 0.55), "decoder", colour=IMAGE, ha="center", size=9.4)
    for row, stride in zip(rows, (2, 4, 8, 16), strict=False):
        box(
            ax,
            (5.6, row),
            (1.9, 0.66),
            f"2 convolutions + FiLM\nstride {stride}",
            edge=IMAGE,
            fill=IMAGE_FILL,
        )
        arrow(ax, (3.5, row), (4.65, row))
    note(ax, (4.07, rows[0] + 0.16), "skips", colour=IMAGE, ha="center")
    for below, above in zip(rows[1:4], rows[:3], strict=True):
        arrow(ax, (5.6, below + 0.33), (5.6, above - 0.33))
    line(ax, [(3.5, rows[4]), (4.9, rows[4]), (4.9, rows[3] - 0.33)], colour=IMAGE)
    box(ax, (8.75, rows[0] + 0.82), (1.9, 0.62), "mask logits\n(bilinear x 2)", edge=IMAGE, fill=IMAGE_FILL)
    line(ax, [(5.6, rows[0] + 0.33), (5.6, rows[0] + 0.82), (7.8, rows[0] + 0.82)], colour=IMAGE)
