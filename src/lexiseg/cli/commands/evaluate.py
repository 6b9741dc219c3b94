"""The command `lexiseg evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.choices import Split
from lexiseg.cli.options.common import (
    RUN_HELP,
    AllowLeak,
    AverageWith,
    BatchSize,
    BootstrapSeed,
    DataFolder,
    Device,
    Engine,
    FlipAverage,
    Precision,
    Shared,
    Tolerance,
)
from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.cli.terminal.result_tables import interval_text, show_runs
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.evaluation.evaluate import Evaluation
    from lexiseg.evaluation.options import EvaluationKeywords


def evaluate(
    run: Annotated[
        list[Path], typer.Argument(metavar="RUN", help=f"{RUN_HELP} Name several to get one table.")
    ],
    data: DataFolder,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder for metrics.json, cases.csv and report.html. With several runs, each has a "
            "subfolder.",
        ),
    ],
    split: Annotated[Split, typer.Option(help="Split to score.")] = "test",
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
    flip_average: FlipAverage = False,
    average_with: AverageWith = None,
    tolerance: Tolerance = 2.0,
    seed: BootstrapSeed = 0,
    allow_leak: AllowLeak = False,
    shared: Shared = False,
) -> None:
    """Score a run on one split: masks and words, per case and by lesion size, with confidence intervals."""
    results = _evaluate(
        run,
        data,
        out,
        {
            "split": split,
            "batch_size": batch_size,
            "device": device,
            "engine": engine,
            "precision": precision,
            "flip_average": flip_average,
            "average_with": average_with,
            "tolerance": tolerance,
            "seed": seed,
            "allow_leak": allow_leak,
        },
    )
    show_result([{"out": result.out, "metrics": result.metrics} for result in results.values()])
    _show(results, out)
    for result in results.values():
        result.raise_for_failures()


def _evaluate(runs: list[Path], data: Path, out: Path, options: EvaluationKeywords) -> dict[str, Evaluation]:
    """Evaluate runs with a progress bar; return the evaluations by name."""
    from lexiseg import evaluate as run_evaluation
    from lexiseg import evaluate_runs

    with counted_progress() as progress:
        task = progress.add_task("evaluating", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        if len(runs) > 1:
            return evaluate_runs(runs, data, out=out, progress=show, **options)
        return {str(runs[0]): run_evaluation(runs[0], data, out=out, progress=show, **options)}


def _show(evaluations: Mapping[str, Evaluation], out: Path) -> None:
    """Say what was scored, and what limits the scores."""
    results = list(evaluations.values())
    if len(results) > 1:
        show_runs(evaluations, out)
    else:
        metrics = results[0].metrics
        say(
            f"Dice, mean of {counted(metrics.num_cases, 'case')}: {metrics.dice.mean:.4f} "
            f"({interval_text(metrics.dice.ci95)}); pooled over all pixels: {metrics.pooled_dice:.4f}."
        )
        say(f"Report: {out / 'report.html'}")
    for said in dict.fromkeys(
        text for result in results for text in (*result.metrics.data.left_out, *result.metrics.data.leaks)
    ):
        say(said)
    notices = [
        notice
        for r in results
        for notice in (
            r.metrics.unfinished,
            r.metrics.in_sample,
            r.metrics.unknown_images,
            r.metrics.few_cases,
        )
    ]
    for sentence in dict.fromkeys(notices):
        if sentence is not None:
            say(sentence)
