"""Draw `readme.svg`, the figure of the README: what a trained run says of two phantom images.

    lexiseg demo --out demo --minutes 14
    python docs/figures/make_readme_figure.py demo

The first case has the median Dice among the test cases whose words and mask agree in full, the second the
least agreement among those that are flagged, as all whose expected Dice is low are; of equal ones the first
by name. No patient is shown.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

import lexiseg
from lexiseg.data.readers import read_pair
from lexiseg.evaluation import case_metrics
from lexiseg.inference.overlay import PREDICTED_COLOUR, TRUTH_COLOUR

OUT = Path(__file__).with_name("readme.svg")

INK, QUIET, BAR = "#1a1a1a", "#666666", "#BBD7E8"
#: Pixels of a picture's side in the file, which must stay small.
PIXELS = 128


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test image with what is true of it and what was predicted."""

    name: str
    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.uint8]
    prediction: lexiseg.Prediction
    dice: float


def predicted_cases(demo: Path) -> list[Case]:
    """Predict the test images of a demo, in the order of their names."""
    index, predictor = lexiseg.open_dataset(demo / "data"), lexiseg.load(demo / "run")
    cases = []
    for sample in index.split("test"):
        image, truth = read_pair(sample, index.coding)
        prediction = predictor.predict(image)
        dice = case_metrics(prediction.mask, truth, num_classes=index.num_classes).dice
        cases.append(Case(name=sample.id, image=image, truth=truth, prediction=prediction, dice=dice))
    return cases


def chosen(cases: list[Case]) -> tuple[Case, Case]:
    """Return the case whose words and mask agree and the one that is flagged, see the module's docstring."""
    agreed = sorted((case for case in cases if case.prediction.agreement == 1), key=lambda case: case.dice)
    flagged = [case for case in cases if case.prediction.flagged]
    if not agreed or not flagged:
        raise SystemExit(
            f"Of {len(cases)} cases {len(agreed)} agree in full, {len(flagged)} are flagged; needs one each."
        )
    return agreed[len(agreed) // 2], min(flagged, key=lambda case: (case.prediction.agreement, case.name))


def show_picture(ax: Axes, pixels: npt.NDArray[np.uint8], title: str) -> None:
    """Show an image, small enough for the file."""
    small = Image.fromarray(pixels).resize((PIXELS, PIXELS), Image.Resampling.LANCZOS).convert("L")
    ax.imshow(np.asarray(small), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), interpolation="none")
    ax.set_title(title, fontsize=9.5, color=INK, loc="left")
    ax.axis("off")


def show_contours(ax: Axes, case: Case) -> None:
    """Draw the outlines of the true mask (dashed) and of the predicted one (solid), each with a dark rim."""
    for mask, colour, style in (
        (case.prediction.mask, PREDICTED_COLOUR, "solid"),
        (case.truth, TRUTH_COLOUR, "dashed"),
    ):
        rows, columns = mask.shape
        x, y = (np.arange(columns + 2) - 0.5) / columns, (np.arange(rows + 2) - 0.5) / rows
        inside = np.pad((mask > 0).astype(float), 1)
        if style == "solid":
            ax.contour(x, y, inside, levels=[0.5], colors="black", linewidths=3.0)
        ax.contour(x, y, inside, levels=[0.5], colors=colour, linewidths=1.7, linestyles=style)
    ax.set_xlim(0, 1)
    ax.set_ylim(1, 0)


def show_words(ax: Axes, case: Case) -> None:
    """List the retrieved phrases with their confidence, and what the predicted mask shows instead."""
    prediction = case.prediction
    assert prediction.measured is not None
    assert prediction.expected_dice is not None, "the demo calibrates its run"
    measured = prediction.measured.phrases
    ax.set_xlim(0, 1)
    ax.set_ylim(len(prediction.words) + 1.1, -0.35)
    ax.axis("off")
    ax.text(0, -0.05, f"its words (left and right are the {prediction.side}'s)", fontsize=9.5, color=INK)
    for row, word in enumerate(prediction.words):
        y = row + 0.62
        ax.barh(y, word.confidence, height=0.62, color=BAR, left=0, zorder=1)
        ax.barh(y, 1, height=0.62, facecolor="none", edgecolor="#CCCCCC", linewidth=0.8, zorder=2)
        ax.text(0.02, y, word.phrase, va="center", fontsize=9.5, color=INK, zorder=3)
        ax.text(0.98, y, f"{word.confidence:.2f}", va="center", ha="right", fontsize=9.5, color=INK, zorder=3)
        said = measured[word.factor]
        if said is not None and said != word.phrase:
            text = f"but its mask shows: {said}"
            ax.text(0.02, y + 0.45, text, va="center", fontsize=8.2, color=INK, style="italic", zorder=3)
    verdict = "FLAGGED for review" if prediction.flagged else "not flagged"
    ax.text(
        0, len(prediction.words) + 0.75,
        f"agreement {prediction.agreement:.0%}; "
        f"expected Dice {prediction.expected_dice:.2f}: {verdict}",
        fontsize=9.5, color=INK, weight="bold" if prediction.flagged else "normal", va="center",
    )  # fmt: skip


def draw(cases: tuple[Case, Case]) -> Figure:
    """Draw a row per case."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "lexiseg"})
    figure, axes = plt.subplots(2, 3, figsize=(10.6, 6.5), width_ratios=[1, 1, 1.55])
    figure.subplots_adjust(left=0.012, right=0.988, top=0.955, bottom=0.075, wspace=0.06, hspace=0.12)
    for row, case in zip(axes, cases, strict=True):
        show_picture(row[0], case.image, "the only input: an image (a phantom)")
        show_picture(row[1], case.image, f"its mask, Dice {case.dice:.2f}")
        show_contours(row[1], case)
        show_words(row[2], case)
    lines = [
        Line2D([], [], color=PREDICTED_COLOUR, linewidth=2),
        Line2D([], [], color=TRUTH_COLOUR, linewidth=2, linestyle="dashed"),
    ]
    labels = ["predicted", "true (not shown to the model)"]
    figure.legend(
        lines, labels, loc="lower left", ncols=2, frameon=False, fontsize=9.5, bbox_to_anchor=(0, 0)
    )
    figure.text(
        0.988,
        0.022,
        "bars: softmax probability of the phrase, not calibrated",
        fontsize=8.6,
        color=QUIET,
        ha="right",
    )
    return figure


def main() -> None:
    """Choose the cases, draw and save the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="the folder that `lexiseg demo` made")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cases = chosen(predicted_cases(options.demo))
    draw(cases).savefig(options.out, metadata={"Date": None})
    for case in cases:
        print(f"{case.name}: Dice {case.dice:.3f}, agreement {case.prediction.agreement}")


if __name__ == "__main__":
    main()
