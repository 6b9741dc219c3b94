"""Figures of the report, as pictures that need no other file.

Colours are Okabe and Ito's (readable by colour-blind people); nothing is told by colour alone.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lexiseg.evaluation.cases import ScoredCase
from lexiseg.evaluation.metrics_file import ConfusionMatrix, ReliabilityScores, SizeStratum
from lexiseg.printable import counted

FloatArray = npt.NDArray[np.float64]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#595959"

_STYLE: Any = {
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
_MANY_POINTS = 1500
_COUNTS_UP_TO = 12
# Share of the row from which the blue is dark enough to ask for white figures.
_DARK = 0.55
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
    """Draw each case's Dice over its lesion's size, with the tercile cuts; None without any lesion."""
    return _over_size(
        np.array([case.truth_share for case in cases]),
        np.array([case.scores.dice for case in cases]),
        cuts=[stratum.share[1] for stratum in by_size[:2]],
        means={s.tercile: s.dice.mean for s in by_size[:3] if s.dice is not None},
        what="Dice",
        ends=(-0.03, 1.03),
        form=".3f",
    )


def size_against_difference(
    shares: FloatArray, differences: FloatArray, *, cuts: Sequence[float], means: Mapping[str, float]
) -> Picture | None:
    """Draw each case's difference in Dice over its lesion's size; None without any lesion.

    Args:
        shares: Share of the image that is lesion, per case, `(n,)` in 0..1.
        differences: Difference in Dice per case, `(n,)`.
        cuts: Shares that part small, medium and large lesions.
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
        above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
        above.plot(*zip(*bins, strict=True), color=BLUE, marker="o", markersize=5, label="this evaluation")
        above.set(ylabel="share that is lesion", xlim=(0, 1), ylim=(0, 1))
        above.legend(frameon=False, loc="upper left")
        counts = [found.pixels for found in calibration.bins]
        below.bar(edges, counts, width=1 / len(edges), align="edge", color=BLUE, edgecolor="white")
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
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = np.arange(0, size, 1 if size <= _COUNTS_UP_TO else 5)
        labels = [str(tick + 1) for tick in ticks]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        axes.set(xlabel="retrieved phrase", ylabel="reference phrase")
        if size <= _COUNTS_UP_TO:
            for (row, column), count in np.ndenumerate(counts):
                ink = "white" if shares[row, column] > _DARK else "black"
                axes.text(column, row, str(count or ""), ha="center", va="center", color=ink, fontsize=9)
        axes.spines[:].set_visible(False)
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
    rows = [row for row in history if row.get("val/gap") and row.get("train/distillation")]
    if not rows:
        return None
    steps = [int(row["step"]) for row in rows]
    loss, gap = ([float(row[name]) for row in rows] for name in ("train/distillation", "val/gap"))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(steps, loss, color=BLUE, marker="o", markersize=3)
        above.set(ylabel="loss, training", ylim=(0, None))
        below.plot(steps, gap, color=ORANGE, marker="s", markersize=3)
        below.set(ylabel="gap, validation", xlabel="training step", ylim=(0, None))
    alt = (
        f"Two curves over {counted(len(rows), 'validation')}: the distillation loss went from {loss[0]:.3f} "
        f"to {loss[-1]:.3f}; the gap between image and text embeddings, 1 - cosine similarity, on validation "
        f"images went from {gap[0]:.3f} to {gap[-1]:.3f}."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def _histogram(
    values: FloatArray, *, what: str, xlabel: str, ends: tuple[float, float], bins: int, form: str
) -> Picture:
    mean, median = float(values.mean()), float(np.median(values))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.hist(values, bins=bins, range=ends, color=BLUE, edgecolor="white", linewidth=0.5)
        if _about_zero(ends):
            axes.axvline(0, color="black", linewidth=1)
            axes.xaxis.set_major_locator(MaxNLocator(_DIFFERENCE_TICKS))  # labels with a sign are wide
        axes.axvline(mean, color="black", linewidth=2, label=f"mean {mean:{form}}")
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
            s=14,
            color=BLUE,
            alpha=0.45,
            linewidths=0,
            rasterized=number > _MANY_POINTS,
        )
        for cut in cuts:
            axes.axvline(100 * cut, color=GREY, linewidth=1, linestyle="--")
        if _about_zero(ends):
            axes.axhline(0, color="black", linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="true lesion, % of the image (log scale)", ylabel=what, ylim=ends)
        axes.grid(axis="y", color="#E0E0E0", linewidth=0.8)
    said = ", ".join(f"{name} {mean:{form}}" for name, mean in means.items())
    low, high = (100 * cut for cut in cuts)
    alt = (
        f"Scatter of {what} over lesion size for {counted(number, 'case')}; dashed lines at {low:.2g} % and "
        f"{high:.2g} % of the image part the terciles. Mean by tercile: {said}."
    )
    return Picture(uri=_svg_uri(figure), alt=alt)


def _about_zero(ends: tuple[float, float]) -> bool:
    return ends[0] == -ends[1]


def _reach(differences: FloatArray) -> float:
    """Return the end of an axis, symmetric about 0, that holds all differences."""
    return max(float(np.abs(differences).max()), _LEAST_REACH)


def _svg_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
