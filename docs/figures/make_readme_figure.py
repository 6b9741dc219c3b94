"""Draw `readme.svg`, the figure of the README: what a trained run returns for two phantom images.

    lexiseg demo --out demo --minutes 14
    python docs/figures/make_readme_figure.py demo

The first command trains a run. The second one predicts the test images of the demo, chooses two cases,
saves them in `readme_cases/`, and draws them. Without a folder the script draws the saved cases again, so a
change of the layout needs no training.

The first case has the median Dice among the test cases with full agreement. The second case is the flagged
case with the lowest agreement; of equal ones the first by name. No patient is shown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
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
from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR
from lexiseg.mask_overlap import region_dice

OUT = Path(__file__).with_name("readme.svg")
SAVED = Path(__file__).with_name("readme_cases")

INK, QUIET, BAR = "#1a1a1a", "#595959", "#BBD7E8"
#: Edge and fill of the verdict; its words differ too, so colour is never alone.
PASSED, FLAGGED = ("#00664b", "#E0F3EC"), ("#A34700", "#FCE6D8")
#: Pixels of a picture's side in the file, which must stay small.
PIXELS = 144
#: Font size in points of a figure that is 8.6 inches wide.
FONT = 9.0


@dataclass(frozen=True, kw_only=True)
class Word:
    """A retrieved phrase, its confidence (0 to 1), and the phrase measured on the predicted mask."""

    phrase: str
    confidence: float
    measured: str | None


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the run returns for one image, besides the mask."""

    name: str
    side: str
    words: tuple[Word, ...]
    agreement: float
    expected_dice: float
    flagged: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test image (H, W), its true and predicted mask (H, W, True: lesion), and the other outputs."""

    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.bool_]
    mask: npt.NDArray[np.bool_]
    outputs: Outputs

    @property
    def dice(self) -> float:
        """Dice of the predicted mask with the true mask; 1 if both are empty."""
        return region_dice(self.mask, self.truth)


def outputs_of(name: str, prediction: lexiseg.Prediction) -> Outputs:
    """Return the outputs that the figure shows."""
    assert prediction.measured is not None
    assert prediction.agreement is not None
    assert prediction.expected_dice is not None, "the demo calibrates its run"
    measured = prediction.measured.phrases
    words = tuple(
        Word(phrase=word.phrase, confidence=round(word.confidence, 4), measured=measured[word.factor])
        for word in prediction.words
    )
    return Outputs(
        name=name,
        side=str(prediction.side),
        words=words,
        agreement=prediction.agreement,
        expected_dice=round(prediction.expected_dice, 4),
        flagged=prediction.flagged,
    )


def predicted_cases(demo: Path) -> list[Case]:
    """Predict the test images of a demo, in the order of their names."""
    index, predictor = lexiseg.open_dataset(demo / "data"), lexiseg.load(demo / "run")
    cases = []
    for sample in index.split("test"):
        image, truth = read_pair(sample, index.coding)
        prediction = predictor.predict(image)
        grey = np.asarray(Image.fromarray(image).convert("L"))
        outputs = outputs_of(sample.id, prediction)
        cases.append(Case(image=grey, truth=truth > 0, mask=prediction.mask > 0, outputs=outputs))
    return cases


def chosen(cases: list[Case]) -> tuple[Case, Case]:
    """Return the case with full agreement and the flagged case, see the module's docstring."""
    agreed = sorted((case for case in cases if case.outputs.agreement == 1), key=lambda case: case.dice)
    flagged = [case for case in cases if case.outputs.flagged]
    if not agreed or not flagged:
        raise SystemExit(
            f"Of {len(cases)} cases {len(agreed)} agree in full, {len(flagged)} are flagged; needs one each."
        )
    lowest = min(flagged, key=lambda case: (case.outputs.agreement, case.outputs.name))
    return agreed[len(agreed) // 2], lowest


def save(cases: tuple[Case, ...], folder: Path) -> None:
    """Save the cases as PNG files and `cases.json`, in place of the earlier ones."""
    for old in folder.glob("*.png"):
        old.unlink()
    folder.mkdir(exist_ok=True)
    for case in cases:
        name = case.outputs.name
        Image.fromarray(case.image).save(folder / f"{name}.png", optimize=True)
        Image.fromarray(case.truth).save(folder / f"{name}_true.png")
        Image.fromarray(case.mask).save(folder / f"{name}_predicted.png")
    text = json.dumps([asdict(case.outputs) for case in cases], indent=2)
    (folder / "cases.json").write_text(text + "\n", encoding="utf-8")


def saved(folder: Path) -> tuple[Case, ...]:
    """Read the cases that `save` wrote."""
    cases = []
    for entry in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        words = tuple(Word(**word) for word in entry.pop("words"))
        outputs = Outputs(words=words, **entry)
        image, truth, mask = (
            np.asarray(Image.open(folder / f"{outputs.name}{ending}.png"))
            for ending in ("", "_true", "_predicted")
        )
        cases.append(Case(image=image, truth=truth, mask=mask, outputs=outputs))
    return tuple(cases)


def show_image(ax: Axes, pixels: npt.NDArray[np.uint8]) -> None:
    """Show an image, small enough for the file."""
    small = Image.fromarray(pixels).resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    ax.imshow(np.asarray(small), cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), interpolation="none")
    ax.axis("off")


def show_contours(ax: Axes, case: Case) -> None:
    """Draw the outlines of the true mask (dashed) and of the predicted mask (solid, with a dark rim)."""
    for mask, colour, style in (
        (case.mask, PREDICTED_COLOUR, "solid"),
        (case.truth, TRUTH_COLOUR, "dashed"),
    ):
        rows, columns = mask.shape
        x, y = (np.arange(columns + 2) - 0.5) / columns, (np.arange(rows + 2) - 0.5) / rows
        inside = np.pad(mask.astype(float), 1)
        if style == "solid":
            ax.contour(x, y, inside, levels=[0.5], colors="black", linewidths=3.2)
        ax.contour(x, y, inside, levels=[0.5], colors=colour, linewidths=1.8, linestyles=style)
    ax.set_xlim(0, 1)
    ax.set_ylim(1, 0)
    ax.text(
        0.03, 0.965, f"Dice {case.dice:.2f}", fontsize=FONT, color="white", va="bottom",
        bbox={"facecolor": "black", "alpha": 0.65, "edgecolor": "none", "boxstyle": "round,pad=0.25"},
    )  # fmt: skip


def show_words(ax: Axes, outputs: Outputs) -> None:
    """List the retrieved phrases with their confidence and the measured phrases; then show the flag."""
    ax.set_xlim(0, 1)
    ax.set_ylim(5.2, 0)
    ax.axis("off")
    for row, word in enumerate(outputs.words):
        y = row + 0.3
        ax.barh(y, word.confidence, height=0.5, color=BAR, zorder=1)
        ax.barh(y, 1, height=0.5, facecolor="none", edgecolor="#BBBBBB", linewidth=0.8, zorder=2)
        ax.text(0.02, y, word.phrase, va="center", fontsize=FONT, color=INK, zorder=3)
        ax.text(
            0.98, y, f"{word.confidence:.2f}", va="center", ha="right", fontsize=FONT, color=INK, zorder=3
        )
        if word.measured is not None:
            same = word.measured == word.phrase
            text = "the mask shows the same" if same else f"\u2260 the mask shows: {word.measured}"
            colour = QUIET if same else FLAGGED[0]
            ax.text(0.02, y + 0.42, text, va="center", fontsize=FONT - 1.4, color=colour, zorder=3)
    edge, fill = FLAGGED if outputs.flagged else PASSED
    title = "FLAG: a person should look" if outputs.flagged else "no flag"
    detail = f"expected Dice {outputs.expected_dice:.2f}, agreement of words and mask {outputs.agreement:.0%}"
    ax.barh(4.68, 1, height=0.9, facecolor=fill, edgecolor=edge, linewidth=1.4)
    ax.text(0.02, 4.5, title, va="center", fontsize=FONT + 1, weight="bold", color=edge)
    ax.text(0.02, 4.91, detail, va="center", fontsize=FONT - 1, color=INK)


def draw(cases: tuple[Case, ...]) -> Figure:
    """Draw a row per case."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "lexiseg"})
    figure, axes = plt.subplots(2, 3, figsize=(8.6, 5.35), width_ratios=[1, 1, 1.55])
    figure.subplots_adjust(left=0.008, right=0.992, top=0.93, bottom=0.07, wspace=0.05, hspace=0.07)
    titles = ("Input: an image only", "Output: a mask,", "words with confidence, and a flag")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=FONT + 1.5, weight="bold", color=INK, loc="left")
    for row, case in zip(axes, cases, strict=True):
        show_image(row[0], case.image)
        show_image(row[1], case.image)
        show_contours(row[1], case)
        show_words(row[2], case.outputs)
    lines = [
        Line2D([], [], color=PREDICTED_COLOUR, linewidth=2.2),
        Line2D([], [], color=TRUTH_COLOUR, linewidth=2.2, linestyle="dashed"),
    ]
    labels = ["predicted mask", "true mask (not given to the model)"]
    figure.legend(
        lines,
        labels,
        loc="lower left",
        ncols=2,
        frameon=False,
        fontsize=FONT,
        bbox_to_anchor=(-0.005, -0.012),
    )
    figure.text(
        0.992, 0.022, f"Phantom images. Left and right are the {cases[0].outputs.side}'s.",
        fontsize=FONT - 0.6, color=QUIET, ha="right",
    )  # fmt: skip
    return figure


def main() -> None:
    """Choose the cases or read the saved ones, draw and save the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "demo", type=Path, nargs="?", help="the folder that `lexiseg demo` made; without: the saved cases"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.demo is not None:
        save(chosen(predicted_cases(options.demo)), SAVED)
    cases = saved(SAVED)
    draw(cases).savefig(options.out, metadata={"Date": None})
    for case in cases:
        print(f"{case.outputs.name}: Dice {case.dice:.3f}, agreement {case.outputs.agreement}")


if __name__ == "__main__":
    main()
