"""Draw `cotexnet_compact.svg`, of docs/cotexnet.md: `python docs/figures/make_cotexnet_figure.py`."""

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

OUT = Path(__file__).with_name("cotexnet_compact.svg")

_STYLE = {"edge": TEACHER, "fill": TEACHER_FILL, "dashed": True}


def draw_embedding(ax: Axes, rows: list[float]) -> None:
    """Draw the image embedding, the words read off it, and the prompts."""
    box(
        ax, (4.75, 0.95), (2.5, 1.2),
        "image embedding e_img\ntokens (strides 16, 32):\none transformer layer,\n4 queries, MLP",
        edge=WORDS, fill=WORDS_FILL,
    )  # fmt: skip
    line(ax, [(2.75, rows[4] - 0.33), (2.75, 0.95), (3.5, 0.95)], colour=WORDS)
    note(ax, (2.6, 1.3), "strides\n16 and 32", colour=WORDS, ha="right")
    line(ax, [(6.0, 0.65), (7.05, 0.65)], colour=WORDS)
    box(
        ax, (8.15, 0.6), (2.2, 0.72), "words: cosine with the\nphrases of the bank",
        edge=WORDS, fill=WORDS_FILL,
    )  # fmt: skip
    ax.plot([6.0, 7.6, 7.6], [1.35, 1.35, rows[0]], color=WORDS, linewidth=1.5, zorder=1)
    for row in rows[:4]:
        arrow(ax, (7.6, row), (6.55, row), colour=WORDS)
    note(ax, (7.72, rows[1]), "condition, one prompt at all scales\nin use: e_img alone", colour=WORDS)


def draw_teacher(ax: Axes, rows: list[float]) -> None:
    """Draw what exists in training only."""
    box(ax, (12.55, rows[0] + 0.82), (1.9, 0.62), "reference mask", **_STYLE)
    arrow(ax, (11.6, rows[0] + 0.82), (9.7, rows[0] + 0.82), colour=TEACHER, dashed=True)
    note(ax, (10.65, rows[0] + 1.04), "cross-entropy + Dice", ha="center")
    box(ax, (12.55, 4.6), (1.9, 1.0), "pseudo-word w\ntokens averaged\nover the mask, MLP", **_STYLE)
    arrow(ax, (12.55, rows[0] + 0.51), (12.55, 5.1), colour=TEACHER, dashed=True)
    box(ax, (12.55, 1.0), (1.9, 1.2), "sentence s\n(report, or measured)\nfrozen text encoder", **_STYLE)
    box(ax, (12.55, 2.75), (1.9, 0.8), "text embedding\ne_text = unit(s + w)", **_STYLE)
    arrow(ax, (12.55, 4.1), (12.55, 3.15), colour=TEACHER, dashed=True)
    arrow(ax, (12.55, 1.6), (12.55, 2.35), colour=TEACHER, dashed=True)
    arrow(ax, (11.6, 2.75), (7.66, 2.75), colour=TEACHER, dashed=True)
    note(
        ax, (9.6, 3.2),
        "training: unit((1 - a) e_text + a e_img) for a part of\nthe images, which falls from all to none",
        colour=INK, ha="center",
    )  # fmt: skip
    dashes = (0, (4, 2))
    ax.plot([11.6, 5.2, 5.2], [2.5, 2.5, 2.0], color=TEACHER, linewidth=1.5, linestyle=dashes, zorder=1)
    arrow(ax, (5.2, 2.0), (5.2, 1.55), colour=TEACHER, dashed=True)
    note(
        ax, (9.6, 2.2), "distillation: e_img learns to stand in for e_text;\nnothing flows back", ha="center"
    )


def main() -> None:
    """Draw and save the figure."""
    figure, ax = canvas()
    draw_pyramids(ax, ROWS)
    draw_embedding(ax, ROWS)
    draw_teacher(ax, ROWS)
    legend(ax)
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
