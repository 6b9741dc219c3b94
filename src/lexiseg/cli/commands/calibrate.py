"""The command `lexiseg calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.options.common import AllowLeak, BatchSize, Device, Engine, FlipAverage, Precision, Shared
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.printable import counted


def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Data set folder that the run was trained on.")
    ],
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    allow_leak: AllowLeak = False,
    shared: Shared = False,
) -> None:
    """Calibrate a run on the validation split: fit the temperature and the review rule.

    Masks do not change.
    """
    from lexiseg import calibrate as run_calibration
    from lexiseg.inference.reliability.training_images import (
        FEWEST_IMAGES,
        TRAINING_IMAGES_FILE,
        load_training_images,
    )
    from lexiseg.runs.run import Run

    with counted_progress() as progress:
        task = progress.add_task("calibrating", total=None)
        fitted = run_calibration(
            run,
            data,
            batch_size=batch_size,
            device=device,
            engine=engine,
            precision=precision,
            flip_average=flip_average,
            allow_leak=allow_leak,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    show_result(fitted)
    review = fitted.review
    say(
        f"Temperature {fitted.temperature:.3f}, chosen on {counted(fitted.data.samples, 'validation case')}; "
        f"expected calibration error of the same cases {fitted.ece_before:.4f} before, "
        f"{fitted.ece_after:.4f} after."
    )
    if review.dice_flagged is not None and review.dice_rest is not None:
        say(
            f"Flagged for review: {100 * review.flagged:.1f} % of them, mean Dice {review.dice_flagged:.3f}; "
            f"the rest {review.dice_rest:.3f}."
        )
    for sentence in (*fitted.data.left_out, *fitted.data.leaks):
        say(sentence)
    for sentence in fitted.warnings():
        warn(sentence)
    described = load_training_images(Run.of(run))
    if described is None:
        say(
            f"There are fewer than {FEWEST_IMAGES} training or validation images, so the run does not hold "
            "what they look like: it does not notice images unlike them."
        )
    else:
        record = described.record
        engine = "" if record.engine is None else f", computed by {record.engine}"
        say(
            f"What the training images look like ({', '.join(record.aspects)}) is in "
            f"{run / TRAINING_IMAGES_FILE}{engine}."
        )
    say(f"Written to {run / 'calibration.json'}; predict and evaluate use it from now on.")
