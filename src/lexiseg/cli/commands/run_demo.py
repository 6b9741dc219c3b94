"""The demo: training, evaluation and prediction in a few minutes."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console

import lexiseg
from lexiseg.cli.terminal.result_tables import interval_text
from lexiseg.data.sample import Split
from lexiseg.errors import UsageError
from lexiseg.extras import require_extra
from lexiseg.files import write_text
from lexiseg.printable import counted

_NUM_TRAIN, _NUM_VAL, _NUM_TEST = 400, 60, 80
_PREDICTED = 12
_MARKER = ".lexiseg-demo"


def run_demo(
    data: Path | None, out: Path, *, minutes: float, image_size: int, console: Console
) -> dict[str, Path]:
    """Train, evaluate and predict.

    Args:
        data: Data set folder; None makes a phantom.
        out: Folder for all files; those of an earlier demo are replaced.
        minutes: Minutes of training.
        image_size: Height and width in pixels.
        console: Where to speak.

    Returns:
        Where its results are.

    Raises:
        UsageError: `out` contains files that the demo did not create, or the data set; or the extra `train`
            is not installed.
    """
    require_extra("train")
    _start_fresh(out, data)
    if data is None:
        data = out / "data"
        console.rule("1. A phantom data set: chest-like images, exact masks, true report sentences")
        lexiseg.write_phantom(data, num_train=_NUM_TRAIN, num_val=_NUM_VAL, num_test=_NUM_TEST)
        console.print(f"{_NUM_TRAIN + _NUM_VAL + _NUM_TEST} images in {data}")
    console.rule(f"2. Training for {minutes:g} min")
    run = lexiseg.train(data, out / "run", max_minutes=minutes, image_size=image_size, console=console)
    fitted = lexiseg.calibrate(run.path, data)
    console.print(
        f"Calibrated on {counted(fitted.data.samples, 'validation case')}: temperature "
        f"{fitted.temperature:.2f}"
    )
    index = lexiseg.open_dataset(data)
    split: Split = "test" if index.split("test") else "val"
    console.rule(f"3. Evaluation on the {split} split")
    result = lexiseg.evaluate(run.path, data, split=split, out=out / "evaluation")
    dice = result.metrics.dice
    console.print(
        f"Dice, mean of {counted(len(result.cases), 'case')}: {dice.mean:.3f} "
        f"({interval_text(dice.ci95, '.3f')})"
    )
    console.rule("4. Prediction, from images alone")
    predictor = lexiseg.load(run.path)
    images = [str(sample.image) for sample in index.split(split)[:_PREDICTED]]
    summary = lexiseg.predict_to_files(
        predictor, lexiseg.find_targets(images), out / "predictions", formats=("mask", "overlay", "card")
    )
    console.print(f"{counted(summary.done, 'image')} segmented, {summary.flagged} flagged for review")
    places = {
        "report": out / "evaluation" / "report.html",
        "overlays": out / "predictions" / "overlays",
        "cards": out / "predictions" / "cards",
        "words": summary.results,
        "run": run.path,
    }
    console.rule("Where to look")
    for what, where in places.items():
        console.print(f"{what:<10} {where}", soft_wrap=True)
    console.print("Research software, not a medical device: not for clinical use.")
    return places


def _start_fresh(out: Path, data: Path | None) -> None:
    """Remove the folder of an earlier demo, which has a marker file, and mark the new folder."""
    if data is not None and data.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            f"The data folder {data} lies in {out}, which the demo replaces. Choose another --out.",
            code="LEX-USE-104",
        )
    marker = out / _MARKER
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not marker.is_file())):
        raise UsageError(
            f"{out} contains files that the demo did not create. Choose another --out.", code="LEX-USE-105"
        )
    if out.is_dir():
        shutil.rmtree(out)
    write_text(marker, "Made by `lexiseg demo`, which replaces this folder when it runs again.\n")
