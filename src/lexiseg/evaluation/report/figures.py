"""Figures of the report, as pictures that need no other file.

Colours are Okabe and Ito's (readable by colour-blind people); nothing is told by colour alone. Each picture
has light and dark colours, and follows the page that shows it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from lexiseg.evaluation.report.training_trend import curve_of
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics_file import ConfusionMatrix, ReliabilityScores, SizeStratum
from lexiseg.evaluation.scores.statistics import FloatArray
from lexiseg.printable import counted

BLUE, ORANGE = "#0072b2", "#e69f00"
_INK, _GREY, _LINE, _SURFACE = "#15191e", "#4c5661", "#d3d9e0", "#ffffff"
# Ground under counts: in the dark less bright than lines and bars.
_CELL = "#0073b2"
# What a picture draws in place of these colours where the page is dark.
_DARK_COLOURS = {
    BLUE: "#4aa8e8", _CELL: "#1f6fae", _INK: "#e9edf2", _GREY: "#a9b4c0", _LINE: "#2c343e",
    _SURFACE: "#171c22",
}  # fmt: skip

_STYLE: Any = {
    "figure.facecolor": _SURFACE,
    "axes.facecolor": _SURFACE,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    # Without it the ids in the SVG are random, and two reports of one evaluation differ.
    "svg.hashsalt": "lexiseg",
}
# Inches; at 390 pixels wide the text is still at least 10 pixels high.
_SIZE = (4.8, 3.2)
_FEW_POINTS, _MANY_POINTS = 60, 1500
_COUNTS_UP_TO = 12
# A row's share in a confusion matrix is drawn at this strength at most: the counts on it stay legible.
_STRONGEST = 0.8
# Odd, so that cases without any difference lie in the middle of a bar, not on its edge.
_DIFFERENCE_BINS = 21
_DIFFERENCE_TICKS = 5
# Differences in Dice all below this are drawn on an axis to it: noise must not look like an effect.
_LEAST_REACH = 0.01


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as a data URI, with its alternative text."""

    uri: str
    alt: str


def dice_distribution(cases: Sequence[ScoredCase]) -> Picture:
    """Draw how the per-case Dice is spread, with its mean and median."""
    dice = np.array([case.scores.dice for case in cases])
    return _histogram(dice, what="Dice", xlabel="Dice of one case", ends=(0.0, 1.0), bins=20, form=".3f")


def difference_distribution(differences: FloatArray) -> Picture:
    """Draw how per-case differences in Dice are spread, with their mean and median.

    Args:
        differences: One per case, `(n,)`; above 0 the first of the two compared is better.
    """
    reach = _reach(differences)
    return _histogram(
        differences,
        what="difference in Dice",
        xlabel="difference in Dice of one case",
        ends=(-reach, reach),
        bins=_DIFFERENCE_BINS,
        form="+.3f",
    )


def size_against_dice(cases: Sequence[ScoredCase], by_size: Sequence[SizeStratum]) -> Picture | None:
    """Draw each case's Dice over its lesion's size; None without any lesion.

    Args:
        cases: The scored cases.
        by_size: Their strata by size; lines separate small, medium and large lesions if there are all three.
    """
    return _over_size(
        np.array([case.truth_share for case in cases]),
        np.array([case.scores.dice for case in cases]),
        cuts=tercile_cuts_of(by_size),
        means={s.tercile: s.dice.mean for s in by_size[:3] if s.dice is not None},
        what="Dice",
        ends=(-0.03, 1.03),
        form=".3f",
    )


def tercile_cuts_of(by_size: Sequence[SizeStratum]) -> list[float]:
    """Return the shares that separate small, medium and large lesions; none unless there are all three.

    Args:
        by_size: The strata by size, small first.
    """
    whole = all(stratum.n for stratum in by_size[:3])
    return [stratum.share[1] for stratum in by_size[:2]] if whole else []


def size_against_difference(
    shares: FloatArray, differences: FloatArray, *, cuts: Sequence[float], means: Mapping[str, float]
) -> Picture | None:
    """Draw each case's difference in Dice over its lesion's size; None without any lesion.

    Args:
        shares: Share of the image that is lesion, per case, `(n,)` in 0..1.
        differences: Difference in Dice per case, `(n,)`.
        cuts: Shares that separate small, medium and large lesions; empty for no lines.
        means: Mean difference per tercile, for the alternative text.
    """
    reach = 1.05 * _reach(differences)
    return _over_size(
        shares,
        differences,
        cuts=cuts,
        means=means,
        what="difference in Dice",
        ends=(-reach, reach),
        form="+.3f",
    )


def reliability(calibration: ReliabilityScores) -> Picture:
    """Draw the reliability diagram, with the number of pixels per bin below it."""
    bins = [
        (found.probability, found.lesion)
        for found in calibration.bins
        if found.probability is not None and found.lesion is not None
    ]
    edges = [found.range[0] for found in calibration.bins]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, 4.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", label="perfect")
        above.plot(*zip(*bins, strict=True), color=BLUE, marker="o", markersize=5, label="this evaluation")
        above.set(ylabel="share that is lesion", xlim=(0, 1), ylim=(0, 1))
        above.legend(frameon=False, loc="upper left")
        counts = [found.pixels for found in calibration.bins]
        below.bar(edges, counts, width=1 / len(edges), align="edge", color=BLUE, edgecolor=_SURFACE)
        below.set(ylabel="pixels", xlabel="probability given to a pixel")
        below.set_yscale("log")
    probability, lesion = max(bins, key=lambda pair: abs(pair[0] - pair[1]))
    alt = (
        f"Reliability diagram: share of pixels that are lesion against the probability they were given. "
        f"Expected calibration error {calibration.ece:.4f}; farthest from the diagonal where the "
        f"probability is {probability:.2f} and the share {lesion:.2f}."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def confusion(scores: ConfusionMatrix) -> Picture:
    """Draw one factor's confusion matrix; phrases are numbered from 1, in the order of `scores.phrases`."""
    counts = np.array(scores.confusion)
    size = counts.shape[0]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with matplotlib.rc_context(_STYLE):
        side = float(np.clip(1.6 + 0.34 * size, 2.6, 4.4))
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.add_subplot()
        for (row, column), share in np.ndenumerate(shares):
            if share:
                ground = Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor=_CELL, linewidth=0, alpha=_STRONGEST * share
                )
                axes.add_patch(ground)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
        ticks = np.arange(0, size, 1 if size <= _COUNTS_UP_TO else 5)
        labels = [str(tick + 1) for tick in ticks]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        axes.set(xlabel="retrieved phrase", ylabel="reference phrase")
        if size <= _COUNTS_UP_TO:
            for (row, column), count in np.ndenumerate(counts):
                axes.text(column, row, str(count or ""), ha="center", va="center", fontsize=9)
        axes.spines[:].set(visible=True, color=_LINE)
    hits = int(np.trace(counts))
    alt = (
        f"Confusion matrix of {scores.title}: {size} reference phrases in rows, retrieved phrases in "
        f"columns; {hits} of {int(counts.sum())} cases lie on the diagonal."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def distillation(history: Sequence[Mapping[str, str]]) -> Picture | None:
    """Draw how the image embedding learned to stand in for the text embedding.

    Args:
        history: Rows of the run's `history.csv`: `step`, `train/distillation` and `val/gap` by row.

    Returns:
        The loss above, the gap on validation below, over the steps; None for a run that distilled nothing.
    """
    loss, gap = curve_of(history, "train/distillation"), curve_of(history, "val/gap")
    if not loss or not gap:
        return None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(*zip(*loss, strict=True), color=BLUE, marker="o", markersize=3)
        above.set(ylabel="loss, training", ylim=(0, None))
        below.plot(*zip(*gap, strict=True), color=ORANGE, marker="s", markersize=3)
        below.set(ylabel="gap, validation", xlabel="training step", ylim=(0, None))
    alt = (
        f"Two curves over {counted(len(gap), 'validation')}: the distillation loss went from "
        f"{loss[0][1]:.3f} to {loss[-1][1]:.3f}; the gap between image and text embeddings, 1 - cosine "
        f"similarity, on validation images went from {gap[0][1]:.3f} to {gap[-1][1]:.3f}."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def training(
    dice: Sequence[tuple[float, float]], loss: Sequence[tuple[float, float]], selected_step: int | None
) -> Picture:
    """Draw the validation Dice of a training over its steps, and its loss below, if there is one.

    Args:
        dice: Step and validation Dice of each validation, at least one.
        loss: Step and training loss; empty if it is not known.
        selected_step: Step whose weights were selected, which a line marks; None: no line.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, 3.8 if loss else 3.2), layout="constrained")
        panels = figure.subplots(2 if loss else 1, 1, sharex=True, squeeze=False)[:, 0]
        panels[0].plot(*zip(*dice, strict=True), color=BLUE, marker="o", markersize=3)
        panels[0].set(ylabel="Dice, validation")
        if loss:
            panels[1].plot(*zip(*loss, strict=True), color=ORANGE, marker="s", markersize=3)
            panels[1].set(ylabel="loss, training")
        for panel in panels:
            panel.grid(axis="y", color=_LINE, linewidth=0.8)
            if selected_step is not None:
                panel.axvline(selected_step, color=_GREY, linewidth=1.2, linestyle="--")
        panels[-1].set(xlabel="training step")
        panels[-1].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.align_ylabels(panels)
    best_step, best = max(dice, key=lambda point: point[1])
    alt = (
        f"Validation Dice at {counted(len(dice), 'step')}: first {dice[0][1]:.3f}, last "
        f"{dice[-1][1]:.3f}, highest {best:.3f} at step {best_step:g}."
    )
    if loss:
        alt += f" Training loss: first {loss[0][1]:.3f}, last {loss[-1][1]:.3f}."
    return Picture(uri=_svg_uri(figure), alt=alt)


def _histogram(
    values: FloatArray, *, what: str, xlabel: str, ends: tuple[float, float], bins: int, form: str
) -> Picture:
    mean, median = float(values.mean()), float(np.median(values))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.hist(values, bins=bins, range=ends, color=BLUE, edgecolor=_SURFACE, linewidth=0.5)
        if _about_zero(ends):
            axes.axvline(0, color=_INK, linewidth=1)
            axes.xaxis.set_major_locator(MaxNLocator(_DIFFERENCE_TICKS))  # labels with a sign are wide
        axes.axvline(mean, color=_INK, linewidth=2, label=f"mean {mean:{form}}")
        axes.axvline(median, color=ORANGE, linewidth=2, linestyle="--", label=f"median {median:{form}}")
        axes.set(xlabel=xlabel, ylabel="cases", xlim=ends)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        # Above the axes: inside it would lie on bars, or on the lines that it names.
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    low, high = np.quantile(values, [0.25, 0.75])
    alt = (
        f"Histogram of {what} over {counted(values.size, 'case')}: mean {mean:{form}}, median "
        f"{median:{form}}, half of the cases between {low:{form}} and {high:{form}}, lowest "
        f"{values.min():{form}}, highest {values.max():{form}}."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def _over_size(
    shares: FloatArray,
    values: FloatArray,
    *,
    cuts: Sequence[float],
    means: Mapping[str, float],
    what: str,
    ends: tuple[float, float],
    form: str,
) -> Picture | None:
    lesions = shares > 0
    if not lesions.any():
        return None
    number = int(lesions.sum())
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(
            100 * shares[lesions],
            values[lesions],
            s=30 if number < _FEW_POINTS else 14,
            color=BLUE,
            alpha=0.8 if number < _FEW_POINTS else 0.45,
            linewidths=0,
            rasterized=number > _MANY_POINTS,
        )
        for cut in cuts:
            axes.axvline(100 * cut, color=_GREY, linewidth=1, linestyle="--")
        if _about_zero(ends):
            axes.axhline(0, color=_INK, linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="true lesion, % of the image (log scale)", ylabel=what, ylim=ends)
        axes.grid(axis="y", color=_LINE, linewidth=0.8)
    said = ", ".join(f"{name} {mean:{form}}" for name, mean in means.items())
    lines = " and ".join(f"{100 * cut:.2g} %" for cut in cuts)
    alt = f"Scatter of {what} over lesion size for {counted(number, 'case')}"
    alt += f"; dashed lines at {lines} of the image separate the terciles." if cuts else "."
    return Picture(uri=_svg_uri(figure), alt=f"{alt} Mean by tercile: {said}." if means else alt)


def _about_zero(ends: tuple[float, float]) -> bool:
    return ends[0] == -ends[1]


def _reach(differences: FloatArray) -> float:
    """Return the end of an axis, symmetric about 0, that holds all differences."""
    return max(float(np.abs(differences).max()), _LEAST_REACH)


def _svg_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
    drawn = _with_dark_colours(buffer.getvalue().decode("utf-8"))
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode("utf-8")).decode("ascii")


def _with_dark_colours(svg: str) -> str:
    """Return a drawing whose colours follow the page that shows it, light or dark."""
    light = dark = ""
    for number, (colour, in_the_dark) in enumerate(_DARK_COLOURS.items()):
        svg = svg.replace(colour, f"var(--c{number})")
        light += f"--c{number}:{colour};"
        dark += f"--c{number}:{in_the_dark};"
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    head, opening, rest = svg.partition("<defs>")
    return head + style + opening + rest
