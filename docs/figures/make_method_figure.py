"""Draw `stpnet_compact.svg`, the figure of docs/stpnet.md: `python docs/figures/make_method_figure.py`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

OUT = Path(__file__).with_name("stpnet_compact.svg")

# Okabe-Ito colours, light fills; what belongs to training only is also dashed, so colour is never alone.
IMAGE, WORDS, TEACHER, INK = "#0072B2", "#D55E00", "#555555", "#1a1a1a"
IMAGE_FILL, WORDS_FILL, TEACHER_FILL = "#E3F0F8", "#FCEBDD", "#F4F4F4"

Point = tuple[float, float]


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


def draw_words(ax: Axes, rows: list[float]) -> None:
    """Draw the text bank, the retrieval, the prompts and the guide."""
    box(
        ax, (5.65, 0.95), (4.3, 1.2),
        "phrase retrieval\nimage tokens (strides 16, 32): one transformer layer\n"
        "phrases as queries: cross-attention\ncosine score per phrase, softmax per factor",
        edge=WORDS, fill=WORDS_FILL,
    )  # fmt: skip
    line(ax, [(2.75, rows[4] - 0.33), (2.75, 0.95), (3.5, 0.95)], colour=WORDS)
    note(ax, (2.6, 1.3), "strides\n16 and 32", colour=WORDS, ha="right")
    box(
        ax, (10.15, 0.95), (2.2, 1.2),
        "text bank\nclosed list of phrases\nwith embeddings,\nsaved in the run",
        edge=WORDS, fill=WORDS_FILL,
    )  # fmt: skip
    arrow(ax, (9.05, 0.95), (7.8, 0.95), colour=WORDS)
    note(ax, (8.42, 1.13), "queries", colour=WORDS, ha="center")
    arrow(ax, (5.6, 1.55), (5.6, rows[3] - 0.33), colour=WORDS)
    note(ax, (5.72, 2.3), "guide: where the\nretrieved phrases look", colour=WORDS)
    ax.plot([7.6, 7.6], [1.55, rows[0]], color=WORDS, linewidth=1.5, zorder=1)
    prompts = ("laterality, count, left, right", "laterality, count, left", "laterality, count", "laterality")
    for row, text in zip(rows, prompts, strict=False):
        arrow(ax, (7.6, row), (6.55, row), colour=WORDS)
        note(ax, (7.72, row), text, colour=WORDS)
    note(
        ax, (7.72, rows[3] - 0.5),
        "prompts: mean of the factors' phrases,\neach weighted by its probability;\n"
        "coarse words first (chest vocabulary)", colour=INK,
    )  # fmt: skip


def draw_teacher(ax: Axes, rows: list[float]) -> None:
    """Draw what exists in training only."""
    style = {"edge": TEACHER, "fill": TEACHER_FILL, "dashed": True}
    box(ax, (12.55, rows[0] + 0.82), (1.9, 0.62), "reference mask", **style)
    arrow(ax, (11.6, rows[0] + 0.82), (9.7, rows[0] + 0.82), colour=TEACHER, dashed=True)
    note(ax, (10.65, rows[0] + 1.04), "cross-entropy + Dice", ha="center")
    box(
        ax,
        (12.55, 4.75),
        (1.9, 1.1),
        "report sentences\n(parser), or words\nmeasured on mask\nand pixels",
        **style,
    )
    arrow(ax, (12.55, rows[0] + 0.51), (12.55, 5.3), colour=TEACHER, dashed=True)
    box(ax, (12.55, 0.95), (1.6, 1.2), "frozen\ntext encoder\n(once)", **style)
    arrow(ax, (11.75, 0.95), (11.25, 0.95), colour=TEACHER, dashed=True)
    dashes = (0, (4, 2))
    ax.plot([12.55, 12.55, 7.2], [4.2, 1.9, 1.9], color=TEACHER, linewidth=1.5, linestyle=dashes, zorder=1)
    arrow(ax, (7.2, 1.9), (7.2, 1.55), colour=TEACHER, dashed=True)
    note(ax, (10.05, 2.06), "cross-entropy on the true phrase of each factor", ha="center")


def main() -> None:
    """Draw and save the figure."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "lexiseg"})
    figure, ax = plt.subplots(figsize=(12.6, 6.9))
    ax.set_xlim(0.1, 13.7)
    ax.set_ylim(-0.35, 7.1)
    ax.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    rows = [5.75, 4.85, 3.95, 3.05, 2.15]
    draw_pyramids(ax, rows)
    draw_words(ax, rows)
    draw_teacher(ax, rows)
    legend = (
        (IMAGE, "-", "image path"),
        (WORDS, "-", "the model's own words"),
        (TEACHER, (0, (4, 2)), "teacher: training only, not in the predictor"),
    )
    for x, (colour, dashes, text) in zip((0.5, 3.0, 6.3), legend, strict=True):
        ax.plot([x, x + 0.5], [-0.1, -0.1], color=colour, linewidth=2.2, linestyle=dashes)
        note(ax, (x + 0.62, -0.1), text)
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
