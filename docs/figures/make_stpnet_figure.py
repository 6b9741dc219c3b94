"""Draw `stpnet_compact.svg`, the figure of docs/stpnet.md: `python docs/figures/make_stpnet_figure.py`."""

from __future__ import annotations

from pathlib import Path

from drawing import (
    INK,
    ROWS,
    TEACHER,
    TEACHER_FILL,
    WORDS,
    WORDS_FILL,
    arrow,
    box,
    canvas,
    draw_pyramids,
    legend,
    line,
    note,
)
from matplotlib.axes import Axes

OUT = Path(__file__).with_name("stpnet_compact.svg")


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
    note(ax, (5.72, 2.3), "guide: the tokens,\nand where the\nretrieved phrases look", colour=WORDS)
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
    figure, ax = canvas()
    draw_pyramids(ax, ROWS)
    draw_words(ax, ROWS)
    draw_teacher(ax, ROWS)
    legend(ax)
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
